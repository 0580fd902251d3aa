// SPDX-License-Identifier: GPL-3.0-or-later
#include "ext4_fill.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/system/file.hpp>

#include "ext4_format.hpp"

namespace goldmill::image {

using system::UniqueFd;

namespace {
constexpr ext2_ino_t kLostAndFound = 11;
constexpr std::size_t kLostAndFoundBlocks = 4;  // as mke2fs: room without allocating
constexpr std::uint32_t kMostLinks = 65000;     // EXT4_LINK_MAX
constexpr std::size_t kTail = sizeof(ext2_dir_entry_tail);
constexpr std::size_t kBuffer = 4U << 20;
constexpr std::uint64_t kLongestExtent = 32768;  // blocks, EXT_INIT_MAX_LEN
constexpr std::size_t kInlineExtents = 4;
constexpr std::size_t kFastLink = 60;  // bytes that fit into i_block, with their end

constexpr std::size_t entry_size(std::size_t name) {
  return (name + 8 + 3) & ~std::size_t{3};
}

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

/// One directory as blocks of entries, each block closed by its checksum.
class DirectoryBlocks {
 public:
  void add(ext2_ino_t inode, std::string_view name, std::uint8_t type) {
    if (blocks_.empty() || used_ + entry_size(name.size()) > kExt4Block - kTail) {
      close();
      blocks_.emplace_back(kExt4Block, '\0');
      used_ = 0;
    }
    put(inode, name, type, entry_size(name.size()));
    last_ = used_;
    used_ += entry_size(name.size());
  }

  /// A block without entries, as lost+found keeps them.
  void add_empty() {
    close();
    blocks_.emplace_back(kExt4Block, '\0');
    used_ = 0;
    last_ = 0;
    put(0, "", 0, kExt4Block - kTail);
  }

  std::vector<std::string> take() {
    close();
    return std::move(blocks_);
  }

 private:
  void put(ext2_ino_t inode, std::string_view name, std::uint8_t type, std::size_t length) {
    char* at = blocks_.back().data() + used_;
    const std::uint32_t number = inode;
    const auto size = static_cast<std::uint16_t>(length);
    std::memcpy(at, &number, sizeof number);
    std::memcpy(at + 4, &size, sizeof size);
    at[6] = static_cast<char>(name.size());
    at[7] = static_cast<char>(type);
    std::memcpy(at + 8, name.data(), name.size());
  }

  /// The last entry of a block reaches to the checksum.
  void close() {
    if (!blocks_.empty()) {
      const auto length = static_cast<std::uint16_t>(kExt4Block - kTail - last_);
      std::memcpy(blocks_.back().data() + last_ + 4, &length, sizeof length);
    }
  }

  std::vector<std::string> blocks_;
  std::size_t used_ = 0;
  std::size_t last_ = 0;
};

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

std::uint64_t blocks_needed(const Tree& tree) {
  std::uint64_t blocks = kLostAndFoundBlocks;
  for (const TreeNode& node : tree.nodes) {
    if (node.same_as) {
      continue;
    }
    if (S_ISDIR(node.mode)) {
      std::uint64_t bytes = 64;
      for (const std::size_t child : node.children) {
        bytes += entry_size(tree.nodes[child].name.size());
      }
      blocks += 1 + bytes / (kExt4Block - kTail - entry_size(255));
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

Filler::Filler(ext2_filsys filesystem, Ext4Device& device, const Tree& tree, std::int64_t epoch)
    : filesystem_(filesystem),
      device_(device),
      tree_(tree),
      epoch_(epoch),
      next_(filesystem->super->s_first_data_block) {}

Result<void> Filler::fill(int directory) {
  buffer_.resize(kBuffer);
  TRY(number_inodes());
  for (std::size_t index = 0; index < tree_.nodes.size(); ++index) {
    if (S_ISDIR(tree_.nodes[index].mode)) {
      TRY(write_directory(index).context(tree_.path_of(index)));
    }
  }
  TRY(write_lost_and_found());
  return fill_directory(directory, 0);
}

Result<void> Filler::number_inodes() {
  ext2_ino_t next = kLostAndFound;
  ext2fs_inode_alloc_stats2(filesystem_, next++, +1, 1);
  numbers_.resize(tree_.nodes.size());
  numbers_[0] = EXT2_ROOT_INO;
  for (std::size_t index = 1; index < tree_.nodes.size(); ++index) {
    const TreeNode& node = tree_.nodes[index];
    if (node.same_as) {
      numbers_[index] = numbers_[*node.same_as];
      continue;
    }
    if (!S_ISDIR(node.mode) && node.links > kMostLinks) {
      return Error{ErrorKind::invalid_input,
                   tree_.path_of(index) + " has " + std::to_string(node.links) +
                       " names, and ext4 allows " + std::to_string(kMostLinks)};
    }
    if (next > filesystem_->super->s_inodes_count) {
      return Error{ErrorKind::no_space, "the file system has too few inodes"};
    }
    ext2fs_inode_alloc_stats2(filesystem_, next, +1, S_ISDIR(node.mode) ? 1 : 0);
    numbers_[index] = next++;
  }
  return {};
}

ext2_inode_large Filler::inode_of(const TreeNode& node) const {
  ext2_inode_large inode{};
  inode.i_mode = static_cast<std::uint16_t>(node.mode);
  inode.i_uid = static_cast<std::uint16_t>(node.user);
  inode.i_uid_high = static_cast<std::uint16_t>(node.user >> 16);
  inode.i_gid = static_cast<std::uint16_t>(node.group);
  inode.i_gid_high = static_cast<std::uint16_t>(node.group >> 16);
  inode.i_links_count = static_cast<std::uint16_t>(node.links);
  inode.i_extra_isize = sizeof(ext2_inode_large) - EXT2_GOOD_OLD_INODE_SIZE;
  set_time(inode.i_mtime, inode.i_mtime_extra, std::min(node.mtime, epoch_));
  set_time(inode.i_atime, inode.i_atime_extra, epoch_);
  set_time(inode.i_ctime, inode.i_ctime_extra, epoch_);
  set_time(inode.i_crtime, inode.i_crtime_extra, epoch_);
  return inode;
}

Result<Filler::Run> Filler::allocate(std::uint64_t wanted) {
  const blk64_t last = ext2fs_blocks_count(filesystem_->super) - 1;
  blk64_t first = 0;
  if (next_ > last ||
      ext2fs_find_first_zero_block_bitmap2(filesystem_->block_map, next_, last, &first) != 0) {
    return Error{ErrorKind::no_space, "the file system is full"};
  }
  blk64_t end = std::min<blk64_t>(last + 1, first + std::min(wanted, kLongestExtent));
  blk64_t taken = 0;
  if (ext2fs_find_first_set_block_bitmap2(filesystem_->block_map, first, end - 1, &taken) == 0) {
    end = taken;
  }
  ext2fs_block_alloc_stats_range(filesystem_, first, static_cast<blk_t>(end - first), +1);
  next_ = end;
  return Run{0, first, end - first};
}

namespace {
/// Up to four extents lie in the inode itself. Layout: struct ext3_extent_header and
/// struct ext3_extent, little-endian as this machine.
template <typename Runs>
void put_inline_extents(ext2_inode_large& inode, const Runs& runs) {
  ext3_extent_header header{};
  header.eh_magic = EXT3_EXT_MAGIC;
  header.eh_entries = static_cast<std::uint16_t>(runs.size());
  header.eh_max = kInlineExtents;
  std::array<char, sizeof inode.i_block> bytes{};
  std::memcpy(bytes.data(), &header, sizeof header);
  std::size_t at = sizeof header;
  for (const auto& run : runs) {
    ext3_extent extent{};
    extent.ee_block = static_cast<std::uint32_t>(run.logical);
    extent.ee_len = static_cast<std::uint16_t>(run.count);
    extent.ee_start = static_cast<std::uint32_t>(run.physical);
    extent.ee_start_hi = static_cast<std::uint16_t>(run.physical >> 32);
    std::memcpy(bytes.data() + at, &extent, sizeof extent);
    at += sizeof extent;
  }
  std::memcpy(inode.i_block, bytes.data(), bytes.size());
}

template <typename Runs>
Result<void> put_extent_tree(ext2_filsys filesystem,
                             ext2_ino_t number,
                             ext2_inode_large& inode,
                             const Runs& runs) {
  ext2_extent_handle_t handle = nullptr;
  TRY(checked(ext2fs_extent_open2(filesystem, number, plain(inode), &handle),
              "cannot start an extent tree"));
  errcode_t code = 0;
  for (const auto& run : runs) {
    ext2fs_extent extent{};
    extent.e_lblk = run.logical;
    extent.e_pblk = run.physical;
    extent.e_len = static_cast<std::uint32_t>(run.count);
    code = ext2fs_extent_insert(handle, EXT2_EXTENT_INSERT_AFTER, &extent);
    if (code == 0) {
      code = ext2fs_extent_fix_parents(handle);
    }
    if (code != 0) {
      break;
    }
  }
  ext2fs_extent_free(handle);
  return checked(code, "cannot write an extent tree");
}
}  // namespace

Result<void> Filler::write_inode(ext2_ino_t number,
                                 ext2_inode_large& inode,
                                 const Runs& runs,
                                 const TreeNode& node) {
  std::uint64_t blocks = 0;
  for (const Run& run : runs) {
    blocks += run.count;
  }
  TRY(checked(ext2fs_iblk_set(filesystem_, plain(inode), blocks), "cannot count blocks"));
  if (S_ISREG(node.mode) || S_ISDIR(node.mode) || !runs.empty()) {
    inode.i_flags |= EXT4_EXTENTS_FL;
    if (runs.size() <= kInlineExtents) {
      put_inline_extents(inode, runs);
    } else {
      TRY(put_extent_tree(filesystem_, number, inode, runs));
    }
  }
  TRY(checked(ext2fs_write_inode_full(filesystem_, number, plain(inode), sizeof inode),
              "cannot write an inode"));
  return write_attributes(number, node);
}

Result<void> Filler::write_attributes(ext2_ino_t number, const TreeNode& node) {
  if (node.attributes.empty()) {
    return {};
  }
  ext2_xattr_handle* handle = nullptr;
  TRY(checked(ext2fs_xattrs_open(filesystem_, number, &handle), "cannot open attributes"));
  errcode_t code = ext2fs_xattrs_read(handle);
  for (const auto& [name, value] : node.attributes) {
    if (code == 0) {
      code = ext2fs_xattr_set(handle, name.c_str(), value.data(), value.size());
    }
  }
  ext2fs_xattrs_close(&handle);
  return checked(code, "cannot write extended attributes");
}

std::vector<std::string> Filler::directory_blocks(std::size_t index) const {
  const TreeNode& node = tree_.nodes[index];
  DirectoryBlocks blocks;
  blocks.add(numbers_[index], ".", EXT2_FT_DIR);
  blocks.add(numbers_[node.parent], "..", EXT2_FT_DIR);
  if (index == 0) {
    blocks.add(kLostAndFound, "lost+found", EXT2_FT_DIR);
  }
  for (const std::size_t child : node.children) {
    const TreeNode& entry = tree_.nodes[child];
    const mode_t mode = entry.same_as ? tree_.nodes[*entry.same_as].mode : entry.mode;
    blocks.add(numbers_[child], entry.name, type_in_directory(mode));
  }
  return blocks.take();
}

Result<void> Filler::write_blocks_of(ext2_ino_t number,
                                     ext2_inode_large& inode,
                                     std::vector<std::string>& blocks,
                                     const TreeNode& node) {
  Runs runs;
  for (std::size_t done = 0; done < blocks.size();) {
    Run run = TRY(allocate(blocks.size() - done));
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
  return write_inode(number, inode, runs, node);
}

Result<void> Filler::write_directory(std::size_t index) {
  const TreeNode& node = tree_.nodes[index];
  std::vector<std::string> blocks = directory_blocks(index);
  ext2_inode_large inode = inode_of(node);
  const std::uint32_t links = node.links + (index == 0 ? 1 : 0);
  // Feature dir_nlink: more than fit are written as 1.
  inode.i_links_count = static_cast<std::uint16_t>(links > kMostLinks ? 1 : links);
  return write_blocks_of(numbers_[index], inode, blocks, node);
}

Result<void> Filler::write_lost_and_found() {
  TreeNode node;
  node.mode = S_IFDIR | 0700;
  node.mtime = epoch_;
  node.links = 2;
  DirectoryBlocks entries;
  entries.add(kLostAndFound, ".", EXT2_FT_DIR);
  entries.add(EXT2_ROOT_INO, "..", EXT2_FT_DIR);
  for (std::size_t i = 1; i < kLostAndFoundBlocks; ++i) {
    entries.add_empty();
  }
  std::vector<std::string> blocks = entries.take();
  ext2_inode_large inode = inode_of(node);
  return write_blocks_of(kLostAndFound, inode, blocks, node);
}

Result<void> Filler::fill_directory(int directory, std::size_t index) {
  for (const std::size_t child : tree_.nodes[index].children) {
    TRY(fill_entry(directory, child));
  }
  return {};
}

Result<void> Filler::fill_entry(int directory, std::size_t index) {
  const TreeNode& node = tree_.nodes[index];
  if (node.same_as) {
    return {};
  }
  if (S_ISDIR(node.mode)) {
    if (node.children.empty()) {
      return {};
    }
    const UniqueFd below(
        ::openat(directory, node.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!below) {
      return system_error("cannot open " + tree_.path_of(index), errno);
    }
    return fill_directory(below.get(), index);
  }
  if (S_ISREG(node.mode)) {
    return write_file(directory, index).context(tree_.path_of(index));
  }
  return S_ISLNK(node.mode) ? write_link(index) : write_special(index);
}

Result<void> Filler::write_link(std::size_t index) {
  const TreeNode& node = tree_.nodes[index];
  ext2_inode_large inode = inode_of(node);
  inode.i_size = static_cast<std::uint32_t>(node.target.size());
  Runs runs;
  if (node.target.size() < kFastLink) {
    std::memcpy(inode.i_block, node.target.data(), node.target.size());
  } else {
    runs.push_back(TRY(allocate(1)));
    std::string block = node.target;
    block.resize(kExt4Block);
    device_.write(runs[0].physical * kExt4Block, block.size(), block.data());
  }
  return write_inode(numbers_[index], inode, runs, node);
}

Result<void> Filler::write_special(std::size_t index) {
  const TreeNode& node = tree_.nodes[index];
  ext2_inode_large inode = inode_of(node);
  if (S_ISCHR(node.mode) || S_ISBLK(node.mode)) {
    // The kernel's old and new device encodings (linux/kdev_t.h).
    if (node.major < 256 && node.minor < 256) {
      inode.i_block[0] = node.major << 8 | node.minor;
    } else {
      inode.i_block[1] = (node.minor & 0xff) | node.major << 8 | (node.minor & ~0xffU) << 12;
    }
  }
  return write_inode(numbers_[index], inode, {}, node);
}

Result<void> Filler::write_file(int directory, std::size_t index) {
  const TreeNode& node = tree_.nodes[index];
  ext2_inode_large inode = inode_of(node);
  inode.i_size = static_cast<std::uint32_t>(node.size);
  inode.i_size_high = static_cast<std::uint32_t>(node.size >> 32);
  Runs runs;
  if (node.size > 0) {
    const UniqueFd file(
        ::openat(directory, node.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file) {
      return system_error("cannot open", errno);
    }
    TRY(copy_content(file.get(), node, runs));
  }
  return write_inode(numbers_[index], inode, runs, node);
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

Result<void> Filler::copy_content(int file, const TreeNode& node, Runs& runs) {
  for (std::uint64_t done = 0; done < node.size;) {
    // A hole of the source needs no reading; without support the whole file is data.
    const off_t data = ::lseek(file, static_cast<off_t>(done), SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
      break;
    }
    if (data >= 0) {
      done = static_cast<std::uint64_t>(data) / kExt4Block * kExt4Block;
      if (done >= node.size) {
        break;
      }
    }
    ::lseek(file, static_cast<off_t>(done), SEEK_SET);
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(kBuffer, node.size - done));
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
      Run run = TRY(allocate(end - at));
      run.logical = first + at;
      TRY(device_.write_through(
          run.physical * kExt4Block, bytes + at * kExt4Block, run.count * kExt4Block));
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
