// SPDX-License-Identifier: GPL-3.0-or-later
#include "ext4_fill.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/system/file.hpp>

#include "directory_blocks.hpp"
#include "ext4_format.hpp"
#include "extent_tree.hpp"

namespace goldmill::image {

using system::UniqueFd;

namespace {
constexpr std::size_t kLostAndFoundBlocks = 4;  // as mke2fs: room without allocating
constexpr std::uint32_t kMostLinks = 65000;     // EXT4_LINK_MAX
constexpr std::size_t kBuffer = 4U << 20;
constexpr std::size_t kFastLink = 60;  // bytes that fit into i_block, with their end

std::uint8_t type_in_directory(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return EXT2_FT_DIR;
    case S_IFLNK:
      return EXT2_FT_SYMLINK;
    case S_IFCHR:
      return EXT2_FT_CHRDEV;
    case S_IFBLK:
      return EXT2_FT_BLKDEV;
    case S_IFIFO:
      return EXT2_FT_FIFO;
    case S_IFSOCK:
      return EXT2_FT_SOCK;
    default:
      return EXT2_FT_REG_FILE;
  }
}

std::uint64_t blocks_for(std::uint64_t bytes) {
  return (bytes + kExt4Block - 1) / kExt4Block;
}

/// Seconds into the 32 old bits and the 2 that ext4 added.
void set_time(std::uint32_t& low, std::uint32_t& extra, std::int64_t seconds) {
  low = static_cast<std::uint32_t>(seconds);
  const std::int64_t rest = seconds - static_cast<std::int32_t>(low);
  extra = static_cast<std::uint32_t>(rest >> 32) & EXT4_EPOCH_MASK;
}

ext2_inode* plain(ext2_inode_large& inode) {
  return EXT2_INODE(&inode);
}
}  // namespace

std::uint64_t blocks_needed(const LayerStack& stack) {
  std::uint64_t blocks = kLostAndFoundBlocks;
  for (const Place& place : stack.places()) {
    if (!place.shown || stack.node(*place.shown).same_as) {
      continue;
    }
    const TreeNode& node = stack.node(*place.shown);
    if (S_ISDIR(node.mode)) {
      std::uint64_t bytes = 64;
      for (const std::size_t below : place.below) {
        bytes += DirectoryBlocks::entry_size(stack.places()[below].name.size());
      }
      blocks += 1 + bytes / (DirectoryBlocks::kRoom - DirectoryBlocks::entry_size(255));
    } else if (S_ISREG(node.mode)) {
      const std::uint64_t content = blocks_for(node.stored);
      blocks += content + content / (kLongestExtent * 64);
    } else if (S_ISLNK(node.mode) && node.target.size() >= kFastLink) {
      ++blocks;
    }
    blocks += node.attributes.empty() ? 0 : 1;
  }
  return blocks;
}

Filler::Filler(ext2_filsys filesystem,
               Ext4Device& device,
               const LayerStack& stack,
               std::int64_t epoch)
    : filesystem_(filesystem),
      device_(device),
      stack_(stack),
      epoch_(epoch),
      slots_(filesystem),
      slots_of_places_(stack.places().size()) {
  slots_of_places_[0] = Ext4Slots::kRoot;
}

Result<void> Filler::fill() {
  buffer_.resize(kBuffer);
  TRY(write_lost_and_found());
  for (std::size_t turn = 0; turn < stack_.turns().size(); ++turn) {
    TRY(place_turn(turn));
  }
  return write_directories();
}

Result<std::uint64_t> Filler::taken(Version shown) const {
  ext2_inode_large inode{};
  TRY(checked(ext2fs_read_inode_full(filesystem_, number_of(shown), plain(inode), sizeof inode),
              "cannot read an inode"));
  return ext2fs_get_stat_i_blocks(filesystem_, plain(inode)) * 512;
}

// ---- places ----

namespace {
/// Whether attributes need a block of their own, or all fit behind the inode's fields.
/// Layout: struct ext2_ext_attr_entry, after a magic number and before four bytes of zeros.
bool need_block(const std::vector<std::pair<std::string, std::string>>& attributes) {
  constexpr std::size_t kRoom = 256 - sizeof(ext2_inode_large) - 8;
  std::size_t size = 0;
  for (const auto& [name, value] : attributes) {
    const std::size_t suffix = name.size() - std::min(name.size(), name.find('.') + 1);
    size += sizeof(ext2_ext_attr_entry) + (suffix + 3) / 4 * 4 + (value.size() + 3) / 4 * 4;
  }
  return size > kRoom;
}

bool has_several_names(const TreeNode& node) {
  return !S_ISDIR(node.mode) && node.links > 1;
}
}  // namespace

Result<void> Filler::give_slot(Version version) {
  const TreeNode& node = stack_.node(version);
  if (!S_ISDIR(node.mode) && stack_.links(version) > kMostLinks) {
    return Error{ErrorKind::invalid_input,
                 stack_.path_of(version) + " has " + std::to_string(stack_.links(version)) +
                     " names, and ext4 allows " + std::to_string(kMostLinks)};
  }
  if (has_several_names(node)) {
    slots_of_links_[version] = TRY(slots_.add());
    return {};
  }
  auto& slot = slots_of_places_[stack_.place_of(version)];
  if (!slot) {
    slot = TRY(slots_.add());
  }
  return {};
}

std::size_t Filler::slot_of(Version version) const {
  const Version first = stack_.first_name(version);
  return has_several_names(stack_.node(first)) ? slots_of_links_.at(first)
                                               : slots_of_places_[stack_.place_of(first)].value();
}

void Filler::open_slot(Version version) {
  is_shown_ = stack_.links(version) > 0;
  slots_.open(slot_of(version), is_shown_ ? Use::shown : Use::hidden);
}

Result<void> Filler::place_turn(std::size_t turn) {
  const std::vector<Version>& versions = stack_.turns()[turn];
  for (const Version version : versions) {
    TRY(give_slot(version));
  }
  // Together, before all contents: a guest that looks for a file reads few places.
  for (const Version version : versions) {
    if (S_ISDIR(stack_.node(version).mode)) {
      TRY(make_room(version, turn));
    }
  }
  for (const Version version : versions) {
    if (!S_ISDIR(stack_.node(version).mode)) {
      TRY(place_file(version).context(stack_.path_of(version)));
    }
  }
  return {};
}

/// A directory is written when all turns are over, but has its room from each.
Result<void> Filler::make_room(Version directory, std::size_t turn) {
  slots_.open(slot_of(directory), Use::hidden);
  std::uint64_t blocks = directory_blocks(stack_.place_of(directory), turn).size();
  blocks += need_block(stack_.node(directory).attributes) ? 1 : 0;
  while (blocks > 0) {
    blocks -= TRY(slots_.take(blocks)).count;
  }
  return {};
}

Result<void> Filler::place_file(Version version) {
  open_slot(version);
  const mode_t mode = stack_.node(version).mode;
  if (S_ISREG(mode)) {
    return write_content(version);
  }
  return S_ISLNK(mode) ? write_link(version) : write_special(version);
}

// ---- inodes ----

namespace {
void set_times(ext2_inode_large& inode, std::int64_t modified, std::int64_t others) {
  set_time(inode.i_mtime, inode.i_mtime_extra, modified);
  set_time(inode.i_atime, inode.i_atime_extra, others);
  set_time(inode.i_ctime, inode.i_ctime_extra, others);
  set_time(inode.i_crtime, inode.i_crtime_extra, others);
}

/// The library asks here for the block of attributes.
errcode_t give_block(ext2_filsys filesystem, blk64_t /*goal*/, blk64_t* block) {
  auto& kept = *static_cast<std::optional<blk64_t>*>(filesystem->priv_data);
  if (!kept) {
    return EXT2_ET_BLOCK_ALLOC_FAIL;
  }
  *block = *std::exchange(kept, std::nullopt);
  return 0;
}
}  // namespace

ext2_inode_large Filler::inode_of(Version version) const {
  const TreeNode& node = stack_.node(version);
  ext2_inode_large inode{};
  inode.i_mode = static_cast<std::uint16_t>(node.mode);
  inode.i_uid = static_cast<std::uint16_t>(node.user);
  inode.i_uid_high = static_cast<std::uint16_t>(node.user >> 16);
  inode.i_gid = static_cast<std::uint16_t>(node.group);
  inode.i_gid_high = static_cast<std::uint16_t>(node.group >> 16);
  // Feature dir_nlink: more than fit are written as 1, and only directories have so many.
  const std::uint32_t links = stack_.links(version) + (stack_.place_of(version) == 0 ? 1 : 0);
  inode.i_links_count = static_cast<std::uint16_t>(links > kMostLinks ? 1 : links);
  inode.i_extra_isize = sizeof(ext2_inode_large) - EXT2_GOOD_OLD_INODE_SIZE;
  set_times(inode, std::min(node.mtime, epoch_), std::min(stack_.newest(version.layer), epoch_));
  return inode;
}

Result<void> Filler::write_inode(Version version, ext2_inode_large& inode, const Runs& runs) {
  TRY(write_inode(number_of(version), inode, runs));
  return write_attributes(version);
}

Result<void> Filler::write_inode(ext2_ino_t number, ext2_inode_large& inode, const Runs& runs) {
  std::uint64_t blocks = 0;
  for (const Ext4Slots::Run& run : runs) {
    blocks += run.count;
  }
  if (S_ISREG(inode.i_mode) || S_ISDIR(inode.i_mode) || !runs.empty()) {
    inode.i_flags |= EXT4_EXTENTS_FL;
    blocks += TRY(put_extents(number, inode, runs));
  }
  if (!is_shown_) {
    return {};
  }
  TRY(checked(ext2fs_iblk_set(filesystem_, plain(inode), blocks), "cannot count blocks"));
  if (number >= EXT2_FIRST_INODE(filesystem_->super)) {
    ext2fs_inode_alloc_stats2(filesystem_, number, +1, S_ISDIR(inode.i_mode) ? 1 : 0);
  }
  return checked(ext2fs_write_inode_full(filesystem_, number, plain(inode), sizeof inode),
                 "cannot write an inode");
}

/// Gives the number of blocks that the tree takes: none while the inode itself holds all.
Result<std::uint64_t> Filler::put_extents(ext2_ino_t number,
                                          ext2_inode_large& inode,
                                          const Runs& runs) {
  std::vector<ExtentEntry> level;
  for (const Ext4Slots::Run& run : runs) {
    level.push_back(extent_of(run));
  }
  std::uint64_t blocks = 0;
  std::size_t depth = 0;
  for (; level.size() > kExtentsInInode; ++depth) {
    std::vector<ExtentEntry> above;
    for (std::size_t begin = 0; begin < level.size(); begin += kExtentsInBlock) {
      const blk64_t block =
          TRY(write_extent_block(number, extent_node(level, begin, kExtentsInBlock, depth)));
      above.push_back(index_of(block, level[begin]));
      ++blocks;
    }
    level = std::move(above);
  }
  const std::string top = extent_node(level, 0, kExtentsInInode, depth);
  std::memcpy(inode.i_block, top.data(), top.size());
  return blocks;
}

Result<blk64_t> Filler::write_extent_block(ext2_ino_t number, std::string block) {
  const blk64_t place = TRY(slots_.take(1)).physical;
  if (is_shown_) {
    block.resize(kExt4Block);
    TRY(checked(ext2fs_extent_block_csum_set(
                    filesystem_, number, reinterpret_cast<ext3_extent_header*>(block.data())),
                "cannot close a block of extents"));
    device_.write(place * kExt4Block, block.size(), block.data());
  }
  return place;
}

Result<void> Filler::write_attributes(Version version) {
  const auto& attributes = stack_.node(version).attributes;
  std::optional<blk64_t> block;
  if (need_block(attributes)) {
    block = TRY(slots_.take(1)).physical;
  }
  if (attributes.empty() || !is_shown_) {
    return {};
  }
  if (block) {
    ext2fs_block_alloc_stats2(filesystem_, *block, -1);  // the library counts what it is given
  }
  filesystem_->priv_data = &block;
  ext2fs_set_alloc_block_callback(filesystem_, give_block, nullptr);
  ext2_xattr_handle* handle = nullptr;
  TRY(checked(ext2fs_xattrs_open(filesystem_, number_of(version), &handle),
              "cannot open attributes"));
  errcode_t code = ext2fs_xattrs_read(handle);
  for (const auto& [name, value] : attributes) {
    if (code == 0) {
      code = ext2fs_xattr_set(handle, name.c_str(), value.data(), value.size());
    }
  }
  ext2fs_xattrs_close(&handle);
  return checked(code, "cannot write extended attributes");
}

// ---- directories ----

/// As the directory is after a turn, with a gap for each name that the guest does not see.
std::vector<std::string> Filler::directory_blocks(std::size_t place, std::size_t turn) const {
  const Place& own = stack_.places()[place];
  DirectoryBlocks blocks;
  blocks.add(slots_.inode(*slots_of_places_[place]), ".", EXT2_FT_DIR);
  blocks.add(slots_.inode(*slots_of_places_[own.parent]), "..", EXT2_FT_DIR);
  if (place == 0) {
    blocks.add(slots_.inode(Ext4Slots::kLostAndFound), "lost+found", EXT2_FT_DIR);
  }
  for (const std::size_t below : own.below) {
    const Place& entry = stack_.places()[below];
    if (entry.turn > turn) {
      break;
    }
    if (entry.shown && entry.shown->layer <= turn) {
      const mode_t mode = stack_.node(stack_.first_name(*entry.shown)).mode;
      blocks.add(number_of(*entry.shown), entry.name, type_in_directory(mode));
    } else {
      blocks.add_gap(DirectoryBlocks::entry_size(entry.name.size()));
    }
  }
  return blocks.take();
}

Result<void> Filler::write_directories() {
  for (std::size_t place = 0; place < stack_.places().size(); ++place) {
    const auto& shown = stack_.places()[place].shown;
    if (!shown || !S_ISDIR(stack_.node(*shown).mode)) {
      continue;
    }
    open_slot(*shown);
    std::vector<std::string> blocks = directory_blocks(place, stack_.places().size());
    ext2_inode_large inode = inode_of(*shown);
    TRY(write_directory(number_of(*shown), inode, blocks).context(stack_.path_of(*shown)));
    TRY(write_attributes(*shown));
  }
  return {};
}

Result<void> Filler::write_lost_and_found() {
  is_shown_ = true;
  slots_.open(Ext4Slots::kLostAndFound, Use::shown);
  const ext2_ino_t number = slots_.inode(Ext4Slots::kLostAndFound);
  DirectoryBlocks entries;
  entries.add(number, ".", EXT2_FT_DIR);
  entries.add(EXT2_ROOT_INO, "..", EXT2_FT_DIR);
  for (std::size_t i = 1; i < kLostAndFoundBlocks; ++i) {
    entries.add_gap(DirectoryBlocks::kRoom);
  }
  std::vector<std::string> blocks = entries.take();
  ext2_inode_large inode{};
  inode.i_mode = S_IFDIR | 0700;
  inode.i_links_count = 2;
  inode.i_extra_isize = sizeof(ext2_inode_large) - EXT2_GOOD_OLD_INODE_SIZE;
  const std::int64_t time = std::min(stack_.newest(0), epoch_);
  set_times(inode, time, time);
  return write_directory(number, inode, blocks);
}

Result<void> Filler::write_directory(ext2_ino_t number,
                                     ext2_inode_large& inode,
                                     std::vector<std::string>& blocks) {
  Runs runs;
  for (std::size_t done = 0; done < blocks.size();) {
    Ext4Slots::Run run = TRY(slots_.take(blocks.size() - done));
    run.logical = done;
    for (std::size_t i = 0; i < run.count; ++i) {
      char* block = blocks[done + i].data();
      ext2fs_initialize_dirent_tail(filesystem_, EXT2_DIRENT_TAIL(block, kExt4Block));
      TRY(checked(ext2fs_write_dir_block4(filesystem_, run.physical + i, block, 0, number),
                  "cannot write a directory"));
    }
    done += run.count;
    runs.push_back(run);
  }
  inode.i_size = static_cast<std::uint32_t>(blocks.size() * kExt4Block);
  return write_inode(number, inode, runs);
}

// ---- other files ----

Result<void> Filler::write_link(Version version) {
  const std::string& target = stack_.node(version).target;
  ext2_inode_large inode = inode_of(version);
  inode.i_size = static_cast<std::uint32_t>(target.size());
  Runs runs;
  if (target.size() < kFastLink) {
    std::memcpy(inode.i_block, target.data(), target.size());
  } else {
    runs.push_back(TRY(slots_.take(1)));
    if (is_shown_) {
      device_.write(runs[0].physical * kExt4Block, target.size(), target.data());
    }
  }
  return write_inode(version, inode, runs);
}

Result<void> Filler::write_special(Version version) {
  const TreeNode& node = stack_.node(version);
  ext2_inode_large inode = inode_of(version);
  if (S_ISCHR(node.mode) || S_ISBLK(node.mode)) {
    // The kernel's old and new device encodings (linux/kdev_t.h).
    if (node.major < 256 && node.minor < 256) {
      inode.i_block[0] = node.major << 8 | node.minor;
    } else {
      inode.i_block[1] = (node.minor & 0xff) | node.major << 8 | (node.minor & ~0xffU) << 12;
    }
  }
  return write_inode(version, inode, {});
}

Result<void> Filler::write_content(Version version) {
  const TreeNode& node = stack_.node(version);
  ext2_inode_large inode = inode_of(version);
  inode.i_size = static_cast<std::uint32_t>(node.size);
  inode.i_size_high = static_cast<std::uint32_t>(node.size >> 32);
  Runs runs;
  if (node.size > 0) {
    const UniqueFd file = TRY(stack_.open(version));
    TRY(copy_content(file.get(), node.size, runs));
  }
  return write_inode(version, inode, runs);
}

namespace {
/// Fills `size` bytes from the file's position; an earlier end of the file is an error.
Result<void> read_exactly(int file, char* to, std::size_t size) {
  while (size > 0) {
    const ssize_t count = ::read(file, to, size);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return count < 0 ? system_error("cannot read", errno)
                       : Error{ErrorKind::conflict, "the file shrank while it was copied"};
    }
    to += count;
    size -= static_cast<std::size_t>(count);
  }
  return {};
}
}  // namespace

Result<void> Filler::copy_content(int file, std::uint64_t size, Runs& runs) {
  for (std::uint64_t done = 0; done < size;) {
    // A hole of the source needs no reading; without support the whole file is data.
    const off_t data = ::lseek(file, static_cast<off_t>(done), SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
      break;
    }
    if (data >= 0) {
      done = static_cast<std::uint64_t>(data) / kExt4Block * kExt4Block;
      if (done >= size) {
        break;
      }
    }
    ::lseek(file, static_cast<off_t>(done), SEEK_SET);
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(kBuffer, size - done));
    TRY(read_exactly(file, buffer_.data(), piece));
    const std::uint64_t blocks = blocks_for(piece);
    std::memset(buffer_.data() + piece, 0, blocks * kExt4Block - piece);
    TRY(copy_piece(buffer_.data(), done / kExt4Block, blocks, runs));
    done += piece;
  }
  return {};
}

Result<void> Filler::copy_piece(const char* bytes,
                                std::uint64_t first,
                                std::uint64_t blocks,
                                Runs& runs) {
  const auto empty = [&](std::uint64_t block) {
    return is_zero(bytes + block * kExt4Block, kExt4Block);
  };
  for (std::uint64_t at = 0; at < blocks;) {
    if (empty(at)) {
      ++at;
      continue;
    }
    std::uint64_t end = at + 1;
    while (end < blocks && !empty(end)) {
      ++end;
    }
    while (at < end) {
      Ext4Slots::Run run = TRY(slots_.take(end - at));
      run.logical = first + at;
      if (is_shown_) {
        TRY(device_.write_through(
            run.physical * kExt4Block, bytes + at * kExt4Block, run.count * kExt4Block));
      }
      at += run.count;
      const bool joins = !runs.empty() && runs.back().logical + runs.back().count == run.logical &&
                         runs.back().physical + runs.back().count == run.physical &&
                         runs.back().count + run.count <= kLongestExtent;
      if (joins) {
        runs.back().count += run.count;
      } else {
        runs.push_back(run);
      }
    }
  }
  return {};
}

}  // namespace goldmill::image
