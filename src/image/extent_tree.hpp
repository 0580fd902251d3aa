// SPDX-License-Identifier: GPL-3.0-or-later
// The nodes of an ext4 extent tree: which blocks of a file lie where.
// Layout: linux/fs/ext4/ext4_extents.h, little-endian as this machine.
#pragma once

#include <array>
#include <string>
#include <vector>

#include <ext2fs/ext2fs.h>

#include "ext4_device.hpp"
#include "ext4_slots.hpp"

namespace goldmill::image {

inline constexpr std::size_t kExtentsInInode = 4;
inline constexpr std::size_t kExtentsInBlock =
    (kExt4Block - sizeof(ext3_extent_header)) / sizeof(ext3_extent);

/// A piece of the file, or a node of the tree with those behind it.
using ExtentEntry = std::array<char, sizeof(ext3_extent)>;
static_assert(sizeof(ext3_extent) == sizeof(ext3_extent_idx));

ExtentEntry extent_of(const Ext4Slots::Run& run);
/// Of a node that lies in `block` and whose first entry is `first`.
ExtentEntry index_of(blk64_t block, const ExtentEntry& first);

/// A header and the entries from `begin`, at most `most`, which is as many as fit there.
/// `depth`: levels below it.
std::string extent_node(const std::vector<ExtentEntry>& entries,
                        std::size_t begin,
                        std::size_t most,
                        std::size_t depth);

}  // namespace goldmill::image
