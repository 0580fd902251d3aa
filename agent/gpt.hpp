// SPDX-License-Identifier: GPL-3.0-or-later
// GptGrowth: which bytes to write so that a partition reaches the end of a disk that has grown.
// Source: UEFI specification 2.10, chapter 5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>

namespace goldmill::agent {

/// What the kernel says about a disk and one of its partitions; offsets and sizes in bytes.
struct DiskGeometry {
  std::uint64_t disk_size = 0;
  std::uint32_t block_size = 512;
  int partition = 0;  ///< counted from 1
  std::uint64_t partition_start = 0;
};

struct GptGrowth {
  struct Write {
    std::uint64_t offset = 0;
    std::string bytes;
  };
  /// To be done in this order, each synced before the next: the backup table at the new end
  /// first, then the primary, whose header and entry stand in one 4 KiB write, so that a power
  /// cut leaves a primary table that is either old or new, never torn.
  std::vector<Write> writes;
  std::uint64_t partition_size = 0;  ///< bytes
};

/// How many bytes of the disk's start plan_gpt_growth() wants to see.
constexpr std::size_t kGptHead = std::size_t{64} * 1024;

/// nullopt when there is nothing to gain (under 1 MiB). Errors: corrupt (no valid GPT, checksums
/// included), unavailable (another partition stands behind it).
Result<std::optional<GptGrowth>> plan_gpt_growth(std::string_view head,
                                                 const DiskGeometry& geometry);

std::uint32_t crc32(std::string_view bytes);

}  // namespace goldmill::agent
