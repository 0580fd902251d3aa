// SPDX-License-Identifier: GPL-3.0-or-later
#include "ext4_slots.hpp"

#include <algorithm>

namespace goldmill::image {

Ext4Slots::Ext4Slots(ext2_filsys filesystem)
    : filesystem_(filesystem),
      slots_({{EXT2_ROOT_INO}, {EXT2_GOOD_OLD_FIRST_INO}}),
      next_block_(filesystem->super->s_first_data_block) {}

Result<std::size_t> Ext4Slots::add() {
  if (next_inode_ > filesystem_->super->s_inodes_count) {
    return Error{ErrorKind::no_space, "the file system has too few inodes"};
  }
  slots_.push_back({next_inode_++});
  return slots_.size() - 1;
}

void Ext4Slots::open(std::size_t slot, Use use) {
  open_ = slot;
  use_ = use;
  piece_ = 0;
  taken_ = 0;
}

Result<Ext4Slots::Run> Ext4Slots::take(std::uint64_t wanted) {
  std::vector<Run>& pieces = slots_.at(open_).pieces;
  if (piece_ == pieces.size()) {
    pieces.push_back(TRY(next_free(wanted)));
  }
  const Run& piece = pieces[piece_];
  const Run run{0, piece.physical + taken_, std::min(wanted, piece.count - taken_)};
  taken_ += run.count;
  if (taken_ == piece.count) {
    ++piece_;
    taken_ = 0;
  }
  if (use_ == Use::shown) {
    ext2fs_block_alloc_stats_range(filesystem_, run.physical, static_cast<blk_t>(run.count), +1);
  }
  return run;
}

/// Only tables and the journal are ever in the way: other blocks are given in their order.
Result<Ext4Slots::Run> Ext4Slots::next_free(std::uint64_t wanted) {
  const blk64_t last = ext2fs_blocks_count(filesystem_->super) - 1;
  blk64_t first = 0;
  if (next_block_ > last || ext2fs_find_first_zero_block_bitmap2(
                                filesystem_->block_map, next_block_, last, &first) != 0) {
    return Error{ErrorKind::no_space, "the file system is full"};
  }
  blk64_t end = std::min<blk64_t>(last + 1, first + std::min(wanted, kLongestExtent));
  blk64_t taken = 0;
  if (ext2fs_find_first_set_block_bitmap2(filesystem_->block_map, first, end - 1, &taken) == 0) {
    end = taken;
  }
  next_block_ = end;
  return Run{0, first, end - first};
}

}  // namespace goldmill::image
