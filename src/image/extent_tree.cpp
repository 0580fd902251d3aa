// SPDX-License-Identifier: GPL-3.0-or-later
#include "extent_tree.hpp"

#include <algorithm>
#include <cstring>

namespace goldmill::image {

ExtentEntry extent_of(const Ext4Slots::Run& run) {
  ext3_extent extent{};
  extent.ee_block = static_cast<std::uint32_t>(run.logical);
  extent.ee_len = static_cast<std::uint16_t>(run.count);
  extent.ee_start = static_cast<std::uint32_t>(run.physical);
  extent.ee_start_hi = static_cast<std::uint16_t>(run.physical >> 32);
  ExtentEntry entry{};
  std::memcpy(entry.data(), &extent, sizeof extent);
  return entry;
}

// Both kinds of entries begin with the block of the file.
ExtentEntry index_of(blk64_t block, const ExtentEntry& first) {
  ext3_extent_idx index{};
  std::memcpy(&index.ei_block, first.data(), sizeof index.ei_block);
  index.ei_leaf = static_cast<std::uint32_t>(block);
  index.ei_leaf_hi = static_cast<std::uint16_t>(block >> 32);
  ExtentEntry entry{};
  std::memcpy(entry.data(), &index, sizeof index);
  return entry;
}

std::string extent_node(const std::vector<ExtentEntry>& entries,
                        std::size_t begin,
                        std::size_t most,
                        std::size_t depth) {
  const std::size_t count = std::min(most, entries.size() - begin);
  ext3_extent_header header{};
  header.eh_magic = EXT3_EXT_MAGIC;
  header.eh_entries = static_cast<std::uint16_t>(count);
  header.eh_max = static_cast<std::uint16_t>(most);
  header.eh_depth = static_cast<std::uint16_t>(depth);
  std::string node(sizeof header, '\0');
  std::memcpy(node.data(), &header, sizeof header);
  for (std::size_t i = begin; i < begin + count; ++i) {
    node.append(entries[i].data(), entries[i].size());
  }
  return node;
}

}  // namespace goldmill::image
