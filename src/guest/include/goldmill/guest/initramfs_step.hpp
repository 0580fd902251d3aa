// SPDX-License-Identifier: GPL-3.0-or-later
// InitramfsStep: the one initramfs build of an image, after everything that it contains.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/guest/tree_files.hpp>
#include <goldmill/plan/step.hpp>
#include <goldmill/plan/step_kind.hpp>

namespace goldmill::guest {

/// What goes into an initramfs.
struct InitramfsInput {
  /// Name -> version or digest of each installed package that puts something in: see
  /// is_initramfs_package().
  std::map<std::string, std::string> packages;
  /// The baseline's files that mkinitramfs reads: see initramfs_files().
  std::vector<TreeFile> files;
};

/// Whether a package's content gets into an initramfs: kernels, initramfs-tools and what its
/// hooks copy (busybox, klibc, kmod, udev, libc, ...), microcode.
bool is_initramfs_package(std::string_view name);
/// Of a baseline's files those below /etc/initramfs-tools and /usr/share/initramfs-tools.
std::vector<TreeFile> initramfs_files(const std::vector<TreeFile>& files);

/// nullopt when the image has no kernel, or when nothing differs from the parent's.
std::optional<plan::Step> make_initramfs_step(const InitramfsInput& input,
                                              const InitramfsInput* parent = nullptr);

/// Kind "debian.initramfs".
std::unique_ptr<plan::StepKind> initramfs_step_kind();

}  // namespace goldmill::guest
