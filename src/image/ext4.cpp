// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/base/bytes.hpp>
#include <goldmill/image/ext4.hpp>

#include "ext4_device.hpp"
#include "ext4_fill.hpp"
#include "ext4_format.hpp"

namespace goldmill::image {

// orphan_file and metadata_csum_seed are known to the newer guests only, the latter not to GRUB
// 2.06, and neither gains anything on a disk whose UUID never changes.
// Source: mke2fs.conf and e2fsprogs' lib/ext2fs/ext2_fs.h of 1.46.2, the oldest release's.
std::vector<std::string> ext4_features() {
  return {"has_journal",
          "ext_attr",
          "resize_inode",
          "dir_index",
          "filetype",
          "extent",
          "64bit",
          "flex_bg",
          "sparse_super",
          "large_file",
          "huge_file",
          "dir_nlink",
          "extra_isize",
          "metadata_csum"};
}

namespace {
/// lost+found is ours to make; one that a mounted file system left in the tree is dropped.
Result<void> drop_lost_and_found(Tree& tree) {
  std::vector<std::size_t>& top = tree.nodes[0].children;
  const auto found = std::find_if(top.begin(), top.end(), [&](std::size_t child) {
    return tree.nodes[child].name == "lost+found";
  });
  if (found == top.end()) {
    return {};
  }
  if ((tree.nodes[*found].mode & 0170000) != 0040000 || !tree.nodes[*found].children.empty()) {
    return Error{ErrorKind::invalid_input,
                 "/lost+found of the tree is not an empty directory",
                 "remove it: each ext4 file system makes its own"};
  }
  const std::size_t index = *found;
  top.erase(found);
  --tree.nodes[0].links;
  tree.nodes.erase(tree.nodes.begin() + static_cast<std::ptrdiff_t>(index));
  const auto shift = [index](std::size_t& place) { place -= place > index ? 1 : 0; };
  for (TreeNode& node : tree.nodes) {
    shift(node.parent);
    std::for_each(node.children.begin(), node.children.end(), shift);
    if (node.same_as) {
      shift(*node.same_as);
    }
  }
  return {};
}

Result<void> check_room(ext2_filsys filesystem, const Tree& tree, std::uint64_t size) {
  const std::uint64_t needed = blocks_needed(tree);
  const std::uint64_t free = ext2fs_free_blocks_count(filesystem->super);
  if (needed <= free) {
    return {};
  }
  // A twentieth for the tables of the larger file system, and some room to live.
  const std::uint64_t more = (needed - free) * kExt4Block;
  const Bytes least{(size + more + more / 20 + (16U << 20)) >> 20 << 20};
  return Error{ErrorKind::no_space,
               "the files need " + to_text(Bytes{needed * kExt4Block}) +
                   ", and the file system has room for " + to_text(Bytes{free * kExt4Block}),
               "make it at least " + to_text(least) + " (recipe: disk.size)"};
}

Result<Ext4Usage> close_filesystem(Filesystem filesystem, std::uint64_t room) {
  const std::uint64_t free = ext2fs_free_blocks_count(filesystem->super);
  Ext4Usage usage;
  usage.used_bytes = (room - free) * kExt4Block;
  usage.free_bytes = free * kExt4Block;
  usage.files = filesystem->super->s_inodes_count - filesystem->super->s_free_inodes_count;
  ext2_filsys raw = filesystem.release();
  TRY(checked(ext2fs_close2(raw, EXT2_FLAG_FLUSH_NO_SYNC), "cannot finish the file system"));
  return usage;
}
}  // namespace

Result<Ext4Usage> write_ext4(int disk, const Ext4Options& options, const TreeSource& source) {
  if (options.epoch < 1) {
    return Error{ErrorKind::invalid_input, "the epoch of a file system must be after 1970"};
  }
  Tree tree = TRY(read_tree(source));
  TRY(drop_lost_and_found(tree));
  Ext4Device device(disk, options.offset);
  Filesystem filesystem = TRY(format_ext4(device, options, tree.nodes.size()));
  TRY(add_journal(filesystem.get()));
  const std::uint64_t room = ext2fs_free_blocks_count(filesystem->super);
  TRY(check_room(filesystem.get(), tree, options.size));
  TRY(Filler(filesystem.get(), device, tree, options.epoch).fill(source.directory));
  Ext4Usage usage = TRY(close_filesystem(std::move(filesystem), room));
  TRY(device.finish());
  return usage;
}

}  // namespace goldmill::image
