// SPDX-License-Identifier: GPL-3.0-or-later
// Filler: puts a tree into an empty ext4 file system, in the tree's order.
#pragma once

#include <string>
#include <vector>

#include <ext2fs/ext2fs.h>

#include <goldmill/image/tree.hpp>

#include "ext4_device.hpp"

namespace goldmill::image {

/// Blocks that a tree will take: directories, contents, long links, attributes.
std::uint64_t blocks_needed(const Tree& tree);

class Filler {
 public:
  Filler(ext2_filsys filesystem, Ext4Device& device, const Tree& tree, std::int64_t epoch);

  /// `directory` is the tree's root.
  Result<void> fill(int directory);

 private:
  struct Run {
    std::uint64_t logical = 0;
    blk64_t physical = 0;
    std::uint64_t count = 0;
  };
  using Runs = std::vector<Run>;

  Result<void> number_inodes();
  ext2_inode_large inode_of(const TreeNode& node) const;
  /// At most `wanted` blocks in one piece, from where the last piece ended.
  Result<Run> allocate(std::uint64_t wanted);
  Result<void> write_inode(ext2_ino_t number,
                           ext2_inode_large& inode,
                           const Runs& runs,
                           const TreeNode& node);
  Result<void> write_attributes(ext2_ino_t number, const TreeNode& node);
  Result<void> write_directory(std::size_t index);
  Result<void> write_blocks_of(ext2_ino_t number,
                               ext2_inode_large& inode,
                               std::vector<std::string>& blocks,
                               const TreeNode& node);
  Result<void> write_lost_and_found();
  std::vector<std::string> directory_blocks(std::size_t index) const;
  Result<void> fill_directory(int directory, std::size_t index);
  Result<void> fill_entry(int directory, std::size_t index);
  Result<void> write_link(std::size_t index);
  Result<void> write_special(std::size_t index);
  Result<void> write_file(int directory, std::size_t index);
  Result<void> copy_content(int file, const TreeNode& node, Runs& runs);
  Result<void> copy_piece(const char* bytes, std::uint64_t first, std::uint64_t blocks, Runs& runs);

  ext2_filsys filesystem_;
  Ext4Device& device_;
  const Tree& tree_;
  std::int64_t epoch_;
  std::vector<ext2_ino_t> numbers_;  ///< of each node
  blk64_t next_ = 0;
  std::string buffer_;
};

}  // namespace goldmill::image
