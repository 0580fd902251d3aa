// SPDX-License-Identifier: GPL-3.0-or-later
// ext4: makes a file system in a region of a file and fills it from a directory tree, in this
// process (libext2fs), without mounting, and with the same bytes for the same tree.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/image/identity.hpp>
#include <goldmill/image/tree.hpp>

namespace goldmill::image {

struct Ext4Options {
  std::uint64_t offset = 0;  ///< of the region in the file, bytes
  std::uint64_t size = 0;    ///< of the region, bytes
  std::string label;
  Uuid uuid;
  Uuid hash_seed;
  /// Seconds since 1970. Clamps every mtime; all other times are this.
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

/// The region must read as zeros. Errors: no_space when the tree does not fit, with the size
/// needed; invalid_input for what ext4 cannot hold.
Result<Ext4Usage> write_ext4(int disk, const Ext4Options& options, const TreeSource& source);

}  // namespace goldmill::image
