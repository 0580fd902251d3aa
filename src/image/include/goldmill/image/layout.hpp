// SPDX-License-Identifier: GPL-3.0-or-later
// Layout: what lies where on a disk. Part of an image's digest; the disk writer follows it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::image {

enum class Role : std::uint8_t { bios_boot, esp, data, swap, root };

struct LayoutPartition {
  Role role = Role::data;
  std::string name;        ///< the name in the partition table
  std::string filesystem;  ///< "ext4", "vfat", "swap" or "" (raw)
  std::string mount;       ///< absolute path, or ""
  std::string label;
  std::uint64_t offset = 0;  ///< bytes
  std::uint64_t size = 0;    ///< bytes
};

/// Partition 1 holds GRUB's core for BIOS, 2 is the EFI system partition (it also holds grub.cfg
/// for BIOS), then the recipe's own, and the root file system last, so that it can grow.
class Layout {
 public:
  std::string os_family;  ///< "debian", "ubuntu"
  std::string os_release;
  std::string architecture;  ///< Debian's name
  std::vector<recipe::Firmware> firmware;
  std::vector<recipe::Hardware> hardware;
  std::vector<std::string> kernel_options = {};  ///< beside those that every image has
  std::uint64_t size = 0;                        ///< of the disk, bytes
  std::vector<LayoutPartition> partitions;

  /// Errors: invalid_input (too small, a mount twice or one that the boot loader cannot follow).
  static Result<Layout> make(const recipe::Disk& disk,
                             const recipe::Os& os,
                             const std::vector<recipe::Hardware>& hardware);
  /// What to_json() gave. Errors: invalid_input.
  static Result<Layout> from_json(const Json& json);
  Json to_json() const;

  bool has(recipe::Firmware wanted) const;
  bool has(recipe::Hardware wanted) const;
  /// The first of that role, or nullptr.
  const LayoutPartition* find(Role role) const;
  /// As the partition table counts, from 1. The partition must be one of `partitions`.
  std::size_t number_of(const LayoutPartition& partition) const;
};

/// The type that the Discoverable Partitions Specification gives to the partition, upper case.
std::string partition_type(const LayoutPartition& partition, std::string_view architecture);

/// /etc/fstab for the layout; depends on labels and mount points only.
std::string fstab_text(const Layout& layout);

}  // namespace goldmill::image
