// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <functional>
#include <set>

#include <goldmill/base/bytes.hpp>
#include <goldmill/image/ext4.hpp>

#include "ext4_device.hpp"
#include "ext4_fill.hpp"
#include "ext4_format.hpp"
#include "region.hpp"

namespace goldmill::image {

// orphan_file and metadata_csum_seed are known to the newer guests only, the latter not to every
// GRUB. Disks of one lineage have equal checksums since their file systems have one UUID.
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
Result<void> check_room(ext2_filsys filesystem, const LayerStack& stack, std::uint64_t size) {
  const std::uint64_t needed = blocks_needed(stack);
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

Result<Ext4Usage> close_filesystem(Filesystem filesystem, std::uint64_t room, std::int64_t epoch) {
  filesystem->now = epoch;
  const std::uint64_t free = ext2fs_free_blocks_count(filesystem->super);
  Ext4Usage usage;
  usage.used_bytes = (room - free) * kExt4Block;
  usage.free_bytes = free * kExt4Block;
  usage.files = filesystem->super->s_inodes_count - filesystem->super->s_free_inodes_count;
  ext2_filsys raw = filesystem.release();
  TRY(checked(ext2fs_close2(raw, EXT2_FLAG_FLUSH_NO_SYNC), "cannot finish the file system"));
  return usage;
}
std::uint64_t files_of(const LayerStack& stack) {
  return static_cast<std::uint64_t>(
      std::count_if(stack.places().begin(), stack.places().end(), [](const Place& place) {
        return place.shown.has_value();
      }));
}

using Look = std::function<Result<void>(const LayerStack& stack, const Filler& filler)>;

/// Fills a new file system on the device; `look` sees it before it is closed.
Result<Ext4Usage> fill_ext4(Ext4Device& device,
                            const Ext4Options& options,
                            const LayerStack& stack,
                            const Look& look = {}) {
  const Ext4Contents contents{files_of(stack), std::min(stack.newest(0), options.epoch)};
  Filesystem filesystem = TRY(format_ext4(device, options, contents));
  TRY(add_journal(filesystem.get()));
  const std::uint64_t room = ext2fs_free_blocks_count(filesystem->super);
  TRY(check_room(filesystem.get(), stack, options.size));
  Filler filler(filesystem.get(), device, stack, options.epoch);
  TRY(filler.fill());
  if (look) {
    TRY(look(stack, filler));
  }
  return close_filesystem(std::move(filesystem), room, options.epoch);
}

/// Fills it from the layers. When slots that nothing uses any more leave no room, `clear` gets an
/// empty device again and all is placed as if it were one layer.
Result<Ext4Usage> fill_from(const TreeSource& source,
                            const Ext4Options& options,
                            const std::function<Result<Ext4Usage>(const LayerStack&)>& fill,
                            const std::function<Result<void>()>& clear) {
  if (options.epoch < 1) {
    return Error{ErrorKind::invalid_input, "the epoch of a file system must be after 1970"};
  }
  LayerStack stack = TRY(LayerStack::read(source));
  auto usage = fill(stack);
  if (usage || usage.error().kind != ErrorKind::no_space || stack.turns().size() == 1) {
    return usage;
  }
  TRY(clear());
  stack.squash();
  return fill(stack);
}

/// What each file takes, under the first of its names that the guest sees.
Result<std::vector<Ext4Share>> shares_of(const LayerStack& stack, const Filler& filler) {
  std::vector<Ext4Share> shares;
  std::set<Version> seen;
  for (const Place& place : stack.places()) {
    if (place.shown && seen.insert(stack.first_name(*place.shown)).second) {
      const std::uint64_t bytes = TRY(filler.taken(*place.shown));
      if (bytes > 0) {
        shares.push_back({stack.path_of(*place.shown), bytes});
      }
    }
  }
  return shares;
}
}  // namespace

Result<Ext4Usage> write_ext4(int disk, const Ext4Options& options, const TreeSource& source) {
  return fill_from(
      source,
      options,
      [&](const LayerStack& stack) -> Result<Ext4Usage> {
        Ext4Device device(disk, options.offset);
        Ext4Usage usage = TRY(fill_ext4(device, options, stack));
        TRY(device.finish());
        return usage;
      },
      [&] { return clear_region(disk, options.offset, options.size); });
}

Result<Ext4Measure> measure_ext4(const Ext4Options& options, const TreeSource& source) {
  constexpr int kNowhere = -1;
  Ext4Measure measure;
  measure.usage = TRY(fill_from(
      source,
      options,
      [&](const LayerStack& stack) {
        Ext4Device device(kNowhere, 0);
        return fill_ext4(device,
                         options,
                         stack,
                         [&](const LayerStack& filled, const Filler& filler) -> Result<void> {
                           measure.shares = TRY(shares_of(filled, filler));
                           return {};
                         });
      },
      [] { return Result<void>(); }));
  measure.table_bytes = options.size - measure.usage.used_bytes - measure.usage.free_bytes;
  return measure;
}

}  // namespace goldmill::image
