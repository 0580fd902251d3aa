// SPDX-License-Identifier: GPL-3.0-or-later
// RawDisk: the raw disk as exporters read it: size, data without its holes, pieces.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::exporter {

struct Extent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

class RawDisk {
 public:
  static Result<RawDisk> open(const std::filesystem::path& path);

  int descriptor() const { return file_.get(); }
  std::uint64_t size() const { return size_; }
  /// The parts that are not holes, in order.
  Result<std::vector<Extent>> data() const;
  /// Reads `size` bytes at `offset`; what lies behind the end reads as zeros.
  Result<void> read(std::uint64_t offset, char* to, std::size_t size) const;

 private:
  RawDisk(system::UniqueFd file, std::uint64_t size) : file_(std::move(file)), size_(size) {}
  system::UniqueFd file_;
  std::uint64_t size_;
};

Result<void> write_at(int file, std::uint64_t offset, const char* bytes, std::size_t size);
bool is_zero(const char* bytes, std::size_t size);

}  // namespace goldmill::exporter
