// SPDX-License-Identifier: GPL-3.0-or-later
#include "directory_blocks.hpp"

#include <cstring>
#include <utility>

namespace goldmill::image {

void DirectoryBlocks::add(ext2_ino_t inode, std::string_view name, std::uint8_t type) {
  find_room(entry_size(name.size()));
  if (used_ > 0) {
    close();
    set_length(last_, used_ - last_);
  }
  put(used_, inode, name, type);
  used_ += entry_size(name.size());
}

void DirectoryBlocks::add_gap(std::size_t size) {
  find_room(size);
  used_ += size;
}

std::vector<std::string> DirectoryBlocks::take() {
  close();
  return std::move(blocks_);
}

void DirectoryBlocks::find_room(std::size_t size) {
  if (blocks_.empty() || used_ + size > kRoom) {
    close();
    blocks_.emplace_back(kExt4Block, '\0');
    used_ = 0;
    has_entry_ = false;
  }
}

/// The last entry of a block reaches to the checksum.
void DirectoryBlocks::put(std::size_t place,
                          ext2_ino_t inode,
                          std::string_view name,
                          std::uint8_t type) {
  char* at = blocks_.back().data() + place;
  const std::uint32_t number = inode;
  std::memcpy(at, &number, sizeof number);
  at[6] = static_cast<char>(name.size());
  at[7] = static_cast<char>(type);
  std::memcpy(at + 8, name.data(), name.size());
  set_length(place, kRoom - place);
  last_ = place;
  has_entry_ = true;
}

void DirectoryBlocks::set_length(std::size_t place, std::size_t length) {
  const auto size = static_cast<std::uint16_t>(length);
  std::memcpy(blocks_.back().data() + place + 4, &size, sizeof size);
}

/// A block that begins with a gap begins with an unused entry.
void DirectoryBlocks::close() {
  if (!blocks_.empty() && !has_entry_) {
    put(0, 0, "", 0);
  }
}

}  // namespace goldmill::image
