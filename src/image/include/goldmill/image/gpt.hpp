// SPDX-License-Identifier: GPL-3.0-or-later
// gpt: the partition table (libfdisk on a file, fixed identifiers) and what BIOS starts from it.
#pragma once

#include <string>
#include <string_view>

#include <goldmill/base/result.hpp>
#include <goldmill/image/identity.hpp>
#include <goldmill/image/layout.hpp>

namespace goldmill::image {

/// Writes the protective MBR and both tables. The file must already have the layout's size.
Result<void> write_partition_table(int disk, const Layout& layout, const Identity& identity);

/// Places GRUB's boot.img into the MBR and core.img into the BIOS boot partition, each told
/// where the next one lies. Errors: invalid_input when one has not the shape of GRUB's files.
/// Source of the offsets: GRUB 2.06, include/grub/i386/pc/boot.h.
Result<void> write_bios_boot(int disk,
                             const Layout& layout,
                             std::string_view boot_image,
                             std::string_view core_image);

}  // namespace goldmill::image
