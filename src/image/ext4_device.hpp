// SPDX-License-Identifier: GPL-3.0-or-later
// Ext4Device: where libext2fs keeps a new file system's metadata: pages in memory, written out
// once, in order, with holes for zeros. File contents pass it by.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include <ext2fs/ext2fs.h>

#include <goldmill/base/result.hpp>

namespace goldmill::image {

inline constexpr std::uint32_t kExt4Block = 4096;

class Ext4Device {
 public:
  /// `file` -1: nothing is written, as for measuring.
  Ext4Device(int file, std::uint64_t offset) : file_(file), offset_(offset) {}

  /// The manager for ext2fs_initialize; channels that it opens belong to this device while this
  /// object lives. libext2fs names devices by strings, so the name is not looked at.
  io_manager attach();

  void read(std::uint64_t at, std::size_t size, char* to) const;
  void write(std::uint64_t at, std::size_t size, const char* from);
  void forget(std::uint64_t at, std::uint64_t size);

  /// File content, straight to the file. `at` is relative to the region.
  Result<void> write_through(std::uint64_t at, const char* from, std::size_t size) const;
  /// Writes the pages that are not zero.
  Result<void> finish();

 private:
  using Page = std::array<char, kExt4Block>;
  int file_;
  std::uint64_t offset_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Page>> pages_;
};

/// Whether all bytes are zero.
bool is_zero(const char* bytes, std::size_t size);

}  // namespace goldmill::image
