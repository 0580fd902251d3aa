// SPDX-License-Identifier: GPL-3.0-or-later
// ext4: makes a file system in a region of a file and fills it from layers' trees, in this
// process (libext2fs), without mounting, and with the same bytes for the same layers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/image/identity.hpp>
#include <goldmill/image/layer_stack.hpp>

namespace goldmill::image {

struct Ext4Options {
  std::uint64_t offset = 0;  ///< of the region in the file, bytes
  std::uint64_t size = 0;    ///< of the region, bytes
  std::string label;
  Uuid uuid;
  Uuid hash_seed;
  /// Seconds since 1970. Clamps every time; the superblock's are this, and a file's times but for
  /// its mtime are its layer's (LayerStack::newest).
  std::int64_t epoch = 1;
  /// mke2fs's names, whole list: nothing comes from the machine's mke2fs.conf.
  std::vector<std::string> features;
  /// Share of the blocks kept for root, in percent.
  unsigned reserved_percent = 1;
};

/// What every supported guest's e2fsck and kernel know.
std::vector<std::string> ext4_features();

struct Ext4Usage {
  std::uint64_t used_bytes = 0;  ///< as df would say: without tables and journal
  std::uint64_t free_bytes = 0;
  std::uint64_t files = 0;  ///< inodes in use
};

/// The region must read as zeros. A file's place depends on its layer and the layers below, unless
/// the file system is too small for what they hide: then on all layers. Errors: no_space when the
/// tree does not fit, with the size needed; invalid_input for what ext4 cannot hold.
Result<Ext4Usage> write_ext4(int disk, const Ext4Options& options, const TreeSource& source);

struct Ext4Share {
  std::string path;  ///< below the tree, "" for its root
  std::uint64_t bytes = 0;
};

struct Ext4Measure {
  Ext4Usage usage;
  /// What every file and directory takes of `used_bytes`; the rest is lost+found's.
  std::vector<Ext4Share> shares;
  std::uint64_t table_bytes = 0;  ///< journal, inode tables, bitmaps: what df does not count
};

/// What write_ext4() would make, by making it without writing. Errors: as there.
Result<Ext4Measure> measure_ext4(const Ext4Options& options, const TreeSource& source);

}  // namespace goldmill::image
