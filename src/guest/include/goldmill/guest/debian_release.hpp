// SPDX-License-Identifier: GPL-3.0-or-later
// Facts about each release of the Debian family, as one table.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::guest {

struct DebianRelease {
  std::string family;                        ///< "debian", "ubuntu"
  std::string release;                       ///< "12", "sid", "24.04"
  std::string codename;                      ///< "bookworm", "noble"
  std::vector<std::string> suites;           ///< from the main archive
  std::vector<std::string> security_suites;  ///< from the security archive; may be empty
  std::vector<std::string> components;
  std::string keyring_package;    ///< installed in the guest by its apt already
  std::filesystem::path keyring;  ///< on the host and in the guest
  /// What a slim bootable base has beside the essential packages, apt and the kernel.
  std::vector<std::string> base_packages;

  std::string name() const { return family + "/" + release; }
};

/// The release by what a recipe says: "debian" and "12" or "bookworm".
/// Errors: not_found, with the nearest name.
Result<const DebianRelease*> find_release(std::string_view family, std::string_view release);

const std::vector<DebianRelease>& debian_releases();

/// The kernel's package and what to say about the choice ("" when there is nothing to say).
struct KernelChoice {
  std::string package;
  std::string note;
};

/// Debian's cloud kernel when it has drivers for all the hardware (no list means all hardware),
/// otherwise the generic one. Source: Debian's linux source package,
/// debian/config/*/config.cloud-*. Errors: invalid_input (an architecture that no release here
/// has).
Result<KernelChoice> kernel_for(const DebianRelease& release,
                                std::string_view architecture,
                                const std::vector<recipe::Hardware>& hardware);

/// What a recipe's baseline needs beside base_packages: sudo, locales, console-setup.
std::vector<std::string> baseline_packages(const recipe::Baseline& baseline);

/// Packages that GRUB's images are made from or copied out of; they are not installed in the
/// guest. Signed ones only where the release has them.
Result<std::vector<std::string>> grub_packages(const DebianRelease& release,
                                               std::string_view architecture);

}  // namespace goldmill::guest
