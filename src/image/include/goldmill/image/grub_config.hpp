// SPDX-License-Identifier: GPL-3.0-or-later
// grub.cfg as goldmill writes it: one text for BIOS and UEFI, which names no kernel version and
// no file-system identifier.
#pragma once

#include <string>

#include <goldmill/image/layout.hpp>

namespace goldmill::image {

/// The directory in the EFI system partition where the family's signed GRUB looks for its
/// configuration: "EFI/debian", "EFI/ubuntu".
std::string grub_directory(std::string_view os_family);

/// What the boot loader tells the kernel, but for the root file system.
std::string kernel_arguments(const Layout& layout);

std::string grub_config(const Layout& layout);

}  // namespace goldmill::image
