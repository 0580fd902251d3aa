// SPDX-License-Identifier: GPL-3.0-or-later
// fat: FAT32 file systems made by mtools in a memory file, so that no path of the machine and
// no clock is involved.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::image {

struct FatFile {
  std::string path;  ///< "EFI/BOOT/BOOTX64.EFI"; directories are made as needed
  std::string content;
};

struct FatOptions {
  std::uint64_t offset = 0;  ///< of the region in the disk, bytes
  std::uint64_t size = 0;    ///< of the region, bytes
  std::string label;
  std::uint32_t serial = 1;
  std::int64_t epoch = 1;  ///< of every date in it; FAT has none before 1980
};

/// Makes the file system in the region, which must read as zeros.
/// Errors: not_found (mtools is not installed), no_space, tool_failed.
Result<void> write_fat(int disk,
                       const FatOptions& options,
                       const std::vector<FatFile>& files,
                       system::ProcessRunner& runner = system::process_runner());

}  // namespace goldmill::image
