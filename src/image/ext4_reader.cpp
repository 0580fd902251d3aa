// SPDX-License-Identifier: GPL-3.0-or-later
#include "ext4_reader.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include <sys/stat.h>

namespace goldmill::image {

namespace {
constexpr std::size_t kMostDepth = 200;
constexpr std::size_t kPiece = 1U << 20;
constexpr std::size_t kLongestTarget = 4096;

Error damaged(const std::string& what) {
  return Error{ErrorKind::corrupt, "the guest's file system is damaged: " + what};
}

struct CloseFile {
  void operator()(ext2_file_t file) const { ext2fs_file_close(file); }
};
using OpenedFile = std::unique_ptr<std::remove_pointer_t<ext2_file_t>, CloseFile>;

Result<void> read_content(ext2_filsys filesystem,
                          ext2_ino_t number,
                          const std::function<Result<void>(std::string_view)>& take) {
  ext2_file_t raw = nullptr;
  TRY(checked(ext2fs_file_open(filesystem, number, 0, &raw), "cannot open a file of the guest"));
  const OpenedFile file(raw);
  std::string piece(kPiece, '\0');
  while (true) {
    unsigned int count = 0;
    TRY(checked(ext2fs_file_read(raw, piece.data(), static_cast<unsigned>(piece.size()), &count),
                "cannot read a file of the guest"));
    if (count == 0) {
      return {};
    }
    TRY(take(std::string_view(piece).substr(0, count)));
  }
}

/// What a directory lists, but for itself and its parent.
struct Listing {
  std::map<std::string, ext2_ino_t> entries;
  bool is_damaged = false;
};

// NOLINTNEXTLINE(readability-function-size): the signature that libext2fs calls
int take_entry(ext2_ino_t /*directory*/,
               int /*kind*/,
               ext2_dir_entry* entry,
               int /*offset*/,
               int /*block_size*/,
               char* /*block*/,
               void* listing) {
  auto& taken = *static_cast<Listing*>(listing);
  const std::string name(static_cast<const char*>(entry->name),
                         static_cast<std::size_t>(ext2fs_dirent_name_len(entry)));
  if (name == "." || name == "..") {
    return 0;
  }
  const bool bad =
      name.empty() || name.find('/') != std::string::npos || name.find('\0') != std::string::npos;
  taken.is_damaged = taken.is_damaged || bad || !taken.entries.emplace(name, entry->inode).second;
  return taken.is_damaged ? DIRENT_ABORT : 0;
}

int take_attribute(char* name, char* value, size_t length, void* attributes) {
  if (is_guest_attribute(name)) {
    static_cast<std::vector<std::pair<std::string, std::string>>*>(attributes)
        ->emplace_back(name, std::string(value, length));
  }
  return 0;
}

/// As the kernel stores it: the old form in the first word, or the new one in the second.
void read_device(const ext2_inode_large& inode, TreeNode& node) {
  const std::uint32_t old = inode.i_block[0];
  const std::uint32_t made = inode.i_block[1];
  node.major = old != 0 ? (old >> 8U) & 0xffU : (made >> 8U) & 0xfffU;
  node.minor = old != 0 ? old & 0xffU : (made & 0xffU) | ((made >> 12U) & 0xfff00U);
  node.whiteout = S_ISCHR(node.mode) && node.major == 0 && node.minor == 0;
}

class Ext4Walk {
 public:
  Ext4Walk(ext2_filsys filesystem, const std::vector<std::string>& hollow)
      : filesystem_(filesystem), hollow_(hollow) {}

  Result<void> run() {
    tree_.nodes.emplace_back();
    inodes_.push_back(EXT2_ROOT_INO);
    const ext2_inode_large inode = TRY(read_inode(EXT2_ROOT_INO));
    TRY(describe(0, inode));
    if (!S_ISDIR(tree_.nodes[0].mode)) {
      return damaged("its root is no directory");
    }
    return read_directory(0, 0);
  }

  Tree take_tree() { return std::move(tree_); }
  std::vector<ext2_ino_t> take_inodes() { return std::move(inodes_); }

 private:
  Result<ext2_inode_large> read_inode(ext2_ino_t number) {
    ext2_inode_large inode{};
    TRY(checked(ext2fs_read_inode_full(filesystem_,
                                       number,
                                       reinterpret_cast<ext2_inode*>(&inode),  // its own idiom
                                       sizeof inode),
                "cannot read an inode of the guest"));
    if (inode.i_links_count == 0) {
      return damaged("a name leads to inode " + std::to_string(number) + ", which is free");
    }
    return inode;
  }

  Result<void> describe(std::size_t index, const ext2_inode_large& inode) {
    TreeNode& node = tree_.nodes[index];
    node.mode = inode.i_mode;
    node.user = inode_uid(inode);
    node.group = inode_gid(inode);
    // linux/fs/ext4/ext4.h: two bits more of the seconds stand with the nanoseconds.
    node.mtime = static_cast<std::int32_t>(inode.i_mtime) +
                 (static_cast<std::int64_t>(inode.i_mtime_extra & 3U) << 32U);
    if (S_ISREG(node.mode)) {
      node.size = EXT2_I_SIZE(&inode);
    } else if (S_ISCHR(node.mode) || S_ISBLK(node.mode)) {
      read_device(inode, node);
    } else if (S_ISLNK(node.mode)) {
      return read_target(index, inode);
    } else if (S_ISDIR(node.mode)) {
      node.links = 2;
    } else if (!S_ISFIFO(node.mode) && !S_ISSOCK(node.mode)) {
      return damaged("'" + tree_.path_of(index) + "' is of no known type");
    }
    return read_attributes(index);
  }

  Result<void> read_target(std::size_t index, const ext2_inode_large& inode) {
    std::string target;
    const std::uint64_t size = EXT2_I_SIZE(&inode);
    if (size == 0 || size >= kLongestTarget) {
      return damaged("the link '" + tree_.path_of(index) + "' has no target");
    }
    auto plain = inode;
    if (ext2fs_is_fast_symlink(reinterpret_cast<ext2_inode*>(&plain)) != 0) {
      target.assign(reinterpret_cast<const char*>(&inode.i_block[0]),  // where it lies
                    std::min<std::size_t>(size, sizeof inode.i_block));
    } else {
      TRY(read_content(filesystem_, inodes_[index], [&](std::string_view piece) -> Result<void> {
        target.append(piece.substr(0, kLongestTarget));
        return {};
      }));
    }
    tree_.nodes[index].target = target;
    return {};
  }

  Result<void> read_attributes(std::size_t index) {
    ext2_xattr_handle* raw = nullptr;
    TRY(checked(ext2fs_xattrs_open(filesystem_, inodes_[index], &raw), "cannot read attributes"));
    const std::unique_ptr<ext2_xattr_handle, void (*)(ext2_xattr_handle*)> handle(
        raw, [](ext2_xattr_handle* open) { ext2fs_xattrs_close(&open); });
    auto& attributes = tree_.nodes[index].attributes;
    TRY(checked(ext2fs_xattrs_read(raw), "cannot read attributes of the guest"));
    TRY(checked(ext2fs_xattrs_iterate(raw, take_attribute, &attributes), "cannot read attributes"));
    for (auto& [name, value] : attributes) {
      if (name.starts_with("system.posix_acl_")) {  // as it lies there, not as programs see it
        void* bytes = nullptr;
        size_t length = 0;
        TRY(checked(ext2fs_xattr_get(raw, name.c_str(), &bytes, &length), "cannot read a list"));
        value.assign(static_cast<const char*>(bytes), length);
        ext2fs_free_mem(&bytes);
      }
    }
    std::sort(attributes.begin(), attributes.end());
    return {};
  }

  bool is_hollow(std::size_t index) const {
    return std::find(hollow_.begin(), hollow_.end(), tree_.path_of(index)) != hollow_.end();
  }

  Result<void> read_directory(std::size_t index, std::size_t depth) {
    if (depth > kMostDepth || !directories_.insert(inodes_[index]).second) {
      return damaged("directories lie too deep, or in each other");
    }
    if (index != 0 && is_hollow(index)) {
      return {};
    }
    Listing listing;
    TRY(checked(ext2fs_dir_iterate2(filesystem_, inodes_[index], 0, nullptr, take_entry, &listing),
                "cannot list a directory of the guest"));
    if (listing.is_damaged) {
      return damaged("a name in '/" + tree_.path_of(index) + "' is none");
    }
    for (const auto& [name, number] : listing.entries) {
      if (index != 0 || name != "lost+found") {
        TRY(read_entry(name, number, index, depth));
      }
    }
    return {};
  }

  Result<void> read_entry(const std::string& name,
                          ext2_ino_t number,
                          std::size_t parent,
                          std::size_t depth) {
    const std::size_t index = tree_.nodes.size();
    tree_.nodes.emplace_back();
    tree_.nodes[index].name = name;
    tree_.nodes[index].parent = parent;
    tree_.nodes[parent].children.push_back(index);
    inodes_.push_back(number);
    const ext2_inode_large inode = TRY(read_inode(number));
    TRY(describe(index, inode).context("/" + tree_.path_of(index)));
    if (S_ISDIR(inode.i_mode)) {
      ++tree_.nodes[parent].links;
      return read_directory(index, depth + 1);
    }
    const auto [first, is_new] = first_names_.try_emplace(number, index);
    if (!is_new) {
      tree_.nodes[index].same_as = first->second;
      ++tree_.nodes[first->second].links;
    }
    return {};
  }

  ext2_filsys filesystem_;
  const std::vector<std::string>& hollow_;
  Tree tree_;
  std::vector<ext2_ino_t> inodes_;
  std::map<ext2_ino_t, std::size_t> first_names_;
  std::set<ext2_ino_t> directories_;
};
}  // namespace

Result<Ext4Reader> Ext4Reader::open(int disk, std::uint64_t offset) {
  ext2_filsys raw = nullptr;
  const std::string place = "offset=" + std::to_string(offset);
  // A path would have to be opened anew, which a worker may not.
  TRY(checked(ext2fs_open2(std::to_string(disk).c_str(),
                           place.c_str(),
                           EXT2_FLAG_64BITS,
                           0,
                           0,
                           unixfd_io_manager,
                           &raw),
              "cannot open the guest's file system"));
  Filesystem filesystem(raw);
  const bool is_closed = (raw->super->s_state & EXT2_VALID_FS) != 0 &&
                         (raw->super->s_state & EXT2_ERROR_FS) == 0 &&
                         ext2fs_has_feature_journal_needs_recovery(raw->super) == 0;
  if (!is_closed) {
    return damaged("it was not closed in order");
  }
  return Ext4Reader(std::move(filesystem));
}

Result<Tree> Ext4Reader::read(const std::vector<std::string>& hollow) {
  Ext4Walk walk(filesystem_.get(), hollow);
  TRY(walk.run());
  inodes_ = walk.take_inodes();
  return walk.take_tree();
}

Result<void> Ext4Reader::content(std::size_t node,
                                 const std::function<Result<void>(std::string_view)>& take) const {
  return read_content(filesystem_.get(), inodes_.at(node), take);
}

}  // namespace goldmill::image
