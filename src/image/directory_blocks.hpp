// SPDX-License-Identifier: GPL-3.0-or-later
// DirectoryBlocks: one ext4 directory as blocks of entries, with room for a checksum at the end of
// each. A name that is gone leaves a gap, so that the others stay where they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <ext2fs/ext2fs.h>

#include "ext4_device.hpp"

namespace goldmill::image {

class DirectoryBlocks {
 public:
  /// Bytes that entries of a block may take.
  static constexpr std::size_t kRoom = kExt4Block - sizeof(ext2_dir_entry_tail);

  static constexpr std::size_t entry_size(std::size_t name) {
    return (name + 8 + 3) & ~std::size_t{3};
  }

  /// `type`: one of EXT2_FT_*.
  void add(ext2_ino_t inode, std::string_view name, std::uint8_t type);
  /// Room of `size` bytes without an entry, at most kRoom.
  void add_gap(std::size_t size);
  std::vector<std::string> take();

 private:
  void find_room(std::size_t size);
  void put(std::size_t place, ext2_ino_t inode, std::string_view name, std::uint8_t type);
  void set_length(std::size_t place, std::size_t length);
  void close();

  std::vector<std::string> blocks_;
  std::size_t used_ = 0;
  std::size_t last_ = 0;
  bool has_entry_ = false;  ///< in the last block
};

}  // namespace goldmill::image
