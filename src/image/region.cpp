// SPDX-License-Identifier: GPL-3.0-or-later
#include "region.hpp"

#include <algorithm>
#include <cerrno>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "ext4_device.hpp"

namespace goldmill::image {

Result<void> write_at(int file, std::uint64_t offset, std::string_view bytes) {
  return Ext4Device(file, 0).write_through(offset, bytes.data(), bytes.size());
}

Result<void> clear_region(int file, std::uint64_t offset, std::uint64_t size) {
  if (::fallocate(file,
                  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  static_cast<off_t>(offset),
                  static_cast<off_t>(size)) != 0) {
    return system_error("cannot clear a part of the disk", errno);
  }
  return {};
}

Result<std::vector<Extent>> data_extents(int file, std::uint64_t begin, std::uint64_t end) {
  std::vector<Extent> extents;
  while (begin < end) {
    const off_t data = ::lseek(file, static_cast<off_t>(begin), SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
      break;
    }
    const off_t hole = data < 0 ? -1 : ::lseek(file, data, SEEK_HOLE);
    if (hole < 0) {
      return system_error("cannot find the data of a file", errno);
    }
    const Extent extent{static_cast<std::uint64_t>(data),
                        std::min(static_cast<std::uint64_t>(hole), end)};
    if (extent.begin >= end) {
      break;
    }
    extents.push_back(extent);
    begin = extent.end;
  }
  return extents;
}

Result<void> copy_data(int from, std::uint64_t size, int to, std::uint64_t offset) {
  constexpr std::uint64_t kLongest = 64U << 10;
  std::string piece;
  for (const Extent& extent : TRY(data_extents(from, 0, size))) {
    for (std::uint64_t at = extent.begin; at < extent.end; at += piece.size()) {
      piece.resize(std::min(kLongest, extent.end - at));
      const ssize_t count = ::pread(from, piece.data(), piece.size(), static_cast<off_t>(at));
      if (count <= 0) {
        return system_error("cannot read", count < 0 ? errno : EIO);
      }
      piece.resize(static_cast<std::size_t>(count));
      if (!is_zero(piece.data(), piece.size())) {
        TRY(write_at(to, offset + at, piece));
      }
    }
  }
  return {};
}

}  // namespace goldmill::image
