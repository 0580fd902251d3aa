// SPDX-License-Identifier: GPL-3.0-or-later
// Bytes at a place of the raw disk, and which of its parts hold data.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>

namespace goldmill::image {

Result<void> write_at(int file, std::uint64_t offset, std::string_view bytes);

/// The region reads as zeros again.
Result<void> clear_region(int file, std::uint64_t offset, std::uint64_t size);

struct Extent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// The parts of [begin, end) that are not holes, in order.
Result<std::vector<Extent>> data_extents(int file, std::uint64_t begin, std::uint64_t end);

/// Copies what is not a hole and not zero of `from`'s first `size` bytes to `offset` of `to`.
Result<void> copy_data(int from, std::uint64_t size, int to, std::uint64_t offset);

}  // namespace goldmill::image
