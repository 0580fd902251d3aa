// SPDX-License-Identifier: GPL-3.0-or-later
// Filler: puts what a stack of layers shows into an empty ext4 file system. Each path has a slot,
// given in the order of the layers: what a layer adds moves nothing of those below it, and what
// a layer replaces or hides leaves the rest where it was.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <ext2fs/ext2fs.h>

#include <goldmill/image/layer_stack.hpp>

#include "ext4_device.hpp"
#include "ext4_slots.hpp"

namespace goldmill::image {

/// Blocks that what is shown will take: directories, contents, long links, attributes.
std::uint64_t blocks_needed(const LayerStack& stack);

class Filler {
 public:
  Filler(ext2_filsys filesystem, Ext4Device& device, const LayerStack& stack, std::int64_t epoch);

  /// Errors: no_space, also when only slots that are not used leave no room.
  Result<void> fill();
  /// Bytes that what the guest sees at a place takes in the filled file system.
  Result<std::uint64_t> taken(Version shown) const;

 private:
  using Runs = std::vector<Ext4Slots::Run>;

  Result<void> give_slot(Version version);
  std::size_t slot_of(Version version) const;
  ext2_ino_t number_of(Version version) const { return slots_.inode(slot_of(version)); }
  void open_slot(Version version);
  ext2_inode_large inode_of(Version version) const;

  Result<void> place_turn(std::size_t turn);
  Result<void> place_file(Version version);
  Result<void> make_room(Version directory, std::size_t turn);

  Result<void> write_lost_and_found();
  Result<void> write_directories();
  Result<void> write_directory(ext2_ino_t number,
                               ext2_inode_large& inode,
                               std::vector<std::string>& blocks);
  std::vector<std::string> directory_blocks(std::size_t place, std::size_t turn) const;
  Result<void> write_link(Version version);
  Result<void> write_special(Version version);
  Result<void> write_content(Version version);
  Result<void> copy_content(int file, std::uint64_t size, Runs& runs);
  Result<void> copy_piece(const char* bytes, std::uint64_t first, std::uint64_t blocks, Runs& runs);

  /// Nothing is written of what is hidden, here and below; it takes its blocks all the same.
  Result<void> write_inode(Version version, ext2_inode_large& inode, const Runs& runs);
  Result<void> write_inode(ext2_ino_t number, ext2_inode_large& inode, const Runs& runs);
  Result<std::uint64_t> put_extents(ext2_ino_t number, ext2_inode_large& inode, const Runs& runs);
  Result<blk64_t> write_extent_block(ext2_ino_t number, std::string block);
  Result<void> write_attributes(Version version);

  ext2_filsys filesystem_;
  Ext4Device& device_;
  const LayerStack& stack_;
  std::int64_t epoch_;
  Ext4Slots slots_;
  std::vector<std::optional<std::size_t>> slots_of_places_;
  /// Of files with several names in their layer: no path owns these.
  std::map<Version, std::size_t> slots_of_links_;
  bool is_shown_ = false;  ///< what is being placed
  std::string buffer_;
};

}  // namespace goldmill::image
