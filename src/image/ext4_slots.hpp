// SPDX-License-Identifier: GPL-3.0-or-later
// Ext4Slots: inode numbers and blocks, handed out in the order of asking. What a slot was given
// stays its own, so that whatever comes later moves nothing.
#pragma once

#include <cstdint>
#include <vector>

#include <ext2fs/ext2fs.h>

#include <goldmill/base/result.hpp>

namespace goldmill::image {

inline constexpr std::uint64_t kLongestExtent = 32768;  // blocks, EXT_INIT_MAX_LEN

enum class Use : std::uint8_t {
  shown,   ///< what is taken is in use
  hidden,  ///< it only keeps its place, and is free for the guest
};

class Ext4Slots {
 public:
  struct Run {
    std::uint64_t logical = 0;  ///< block of the file; the caller's to set
    blk64_t physical = 0;
    std::uint64_t count = 0;
  };
  static constexpr std::size_t kRoot = 0;
  static constexpr std::size_t kLostAndFound = 1;

  explicit Ext4Slots(ext2_filsys filesystem);

  /// A slot with the next inode number and no blocks. Errors: no_space.
  Result<std::size_t> add();
  ext2_ino_t inode(std::size_t slot) const { return slots_.at(slot).inode; }

  /// take() goes through the blocks of this slot now, from the first.
  void open(std::size_t slot, Use use);
  /// At most `wanted` blocks in one piece: of the open slot, and when these are used up the next
  /// of the file system, which are the slot's from now on. Errors: no_space.
  Result<Run> take(std::uint64_t wanted);

 private:
  struct Slot {
    ext2_ino_t inode = 0;
    std::vector<Run> pieces = {};
  };
  Result<Run> next_free(std::uint64_t wanted);

  ext2_filsys filesystem_;
  std::vector<Slot> slots_;
  ext2_ino_t next_inode_ = EXT2_GOOD_OLD_FIRST_INO + 1;
  blk64_t next_block_;
  std::size_t open_ = 0;
  Use use_ = Use::hidden;
  std::size_t piece_ = 0;    ///< of the open slot
  std::uint64_t taken_ = 0;  ///< blocks of that piece
};

}  // namespace goldmill::image
