// SPDX-License-Identifier: GPL-3.0-or-later
// An empty ext4 file system in a device: superblock, tables, reserved inodes, journal.
#pragma once

#include <memory>

#include <ext2fs/ext2fs.h>

#include <goldmill/image/ext4.hpp>

#include "ext4_device.hpp"

namespace goldmill::image {

struct FreeFilesystem {
  void operator()(ext2_filsys filesystem) const { ext2fs_free(filesystem); }
};
using Filesystem = std::unique_ptr<struct_ext2_filsys, FreeFilesystem>;

/// tool_failed with the library's own words.
Error ext2_error(const std::string& what, errcode_t code);

/// ext2fs calls return 0 or a code.
Result<void> checked(errcode_t code, const char* what);

/// What will be put in.
struct Ext4Contents {
  std::uint64_t files = 0;  ///< inodes that will be wanted
  std::int64_t oldest = 1;  ///< time of the library's own inodes, seconds since 1970
};

/// Without root directory.
Result<Filesystem> format_ext4(Ext4Device& device,
                               const Ext4Options& options,
                               const Ext4Contents& contents);

/// The journal, in the first free blocks.
Result<void> add_journal(ext2_filsys filesystem);

}  // namespace goldmill::image
