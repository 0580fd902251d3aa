// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpt.hpp"

#include <algorithm>

namespace goldmill::agent {
namespace {

// Offsets in the header and in an entry.
constexpr std::size_t kHeaderCrc = 16;
constexpr std::size_t kMyLba = 24;
constexpr std::size_t kAlternateLba = 32;
constexpr std::size_t kLastUsable = 48;
constexpr std::size_t kEntriesLba = 72;
constexpr std::size_t kEntryCount = 80;
constexpr std::size_t kEntrySize = 84;
constexpr std::size_t kEntriesCrc = 88;
constexpr std::size_t kFirstLba = 32;
constexpr std::size_t kLastLba = 40;
constexpr std::uint32_t kHeaderSize = 92;
constexpr std::uint64_t kAlignment = 4096;
constexpr std::uint64_t kLeastGain = std::uint64_t{1} << 20U;

template <typename Number>
Number get(std::string_view bytes, std::size_t offset) {
  Number value = 0;
  for (std::size_t i = sizeof(Number); i-- > 0;) {
    value = static_cast<Number>(value << 8U | static_cast<std::uint8_t>(bytes[offset + i]));
  }
  return value;
}

template <typename Number>
void put(std::string& bytes, std::size_t offset, Number value) {
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    bytes[offset + i] = static_cast<char>(value >> (8 * i) & 255U);
  }
}

void seal_header(std::string& header, std::uint32_t entries_crc) {
  put<std::uint32_t>(header, kEntriesCrc, entries_crc);
  put<std::uint32_t>(header, kHeaderCrc, 0);
  put<std::uint32_t>(header, kHeaderCrc, crc32(std::string_view(header).substr(0, kHeaderSize)));
}

Error broken(const char* what) {
  return {ErrorKind::corrupt, std::string("the partition table is not a valid GPT: ") + what};
}

struct Table {
  std::string header;
  std::string entries;
  std::uint64_t entry_blocks = 0;
  std::size_t entry_size = 0;
};

Result<Table> read_table(std::string_view head, const DiskGeometry& geometry) {
  const std::size_t block = geometry.block_size;
  if ((block != 512 && block != 4096) || head.size() < kGptHead) {
    return broken("unknown block size");
  }
  Table table;
  table.header = std::string(head.substr(block, block));
  if (!table.header.starts_with("EFI PART") ||
      get<std::uint32_t>(table.header, 12) != kHeaderSize) {
    return broken("no header");
  }
  std::string copy = table.header;
  put<std::uint32_t>(copy, kHeaderCrc, 0);
  if (crc32(std::string_view(copy).substr(0, kHeaderSize)) !=
      get<std::uint32_t>(table.header, kHeaderCrc)) {
    return broken("the header's checksum is wrong");
  }
  const auto count = get<std::uint32_t>(table.header, kEntryCount);
  table.entry_size = get<std::uint32_t>(table.header, kEntrySize);
  const std::size_t bytes = count * table.entry_size;
  if (get<std::uint64_t>(table.header, kMyLba) != 1 ||
      get<std::uint64_t>(table.header, kEntriesLba) != 2 || table.entry_size != 128 || count < 4 ||
      count > 256 || 2 * block + bytes > head.size()) {
    return broken("an unusual layout");
  }
  table.entry_blocks = (bytes + block - 1) / block;
  table.entries = std::string(head.substr(2 * block, bytes));
  if (crc32(table.entries) != get<std::uint32_t>(table.header, kEntriesCrc)) {
    return broken("the entries' checksum is wrong");
  }
  return table;
}

/// Errors when the entry is not the partition the kernel knows, or not the last on the disk.
Result<void> check_entry(const Table& table, const DiskGeometry& geometry) {
  const std::size_t count = table.entries.size() / table.entry_size;
  const auto index = static_cast<std::size_t>(geometry.partition - 1);
  if (geometry.partition < 1 || index >= count) {
    return broken("no such partition");
  }
  const auto first = get<std::uint64_t>(table.entries, index * table.entry_size + kFirstLba);
  const auto last = get<std::uint64_t>(table.entries, index * table.entry_size + kLastLba);
  if (first * geometry.block_size != geometry.partition_start || last < first) {
    return broken("the kernel sees another partition");
  }
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_used =
        table.entries.compare(i * table.entry_size, 16, std::string(16, '\0')) != 0;
    if (i != index && is_used &&
        get<std::uint64_t>(table.entries, i * table.entry_size + kLastLba) > last) {
      return Error{ErrorKind::unavailable, "another partition stands behind the root partition"};
    }
  }
  return {};
}

void put_protective_mbr(std::string& head, std::uint64_t last_lba) {
  constexpr std::size_t kEntry = 446;
  constexpr char kProtective = static_cast<char>(0xEE);
  if (head[kEntry + 4] == kProtective && get<std::uint32_t>(head, kEntry + 8) == 1) {
    put<std::uint32_t>(head,
                       kEntry + 12,
                       static_cast<std::uint32_t>(std::min<std::uint64_t>(last_lba, 0xFFFFFFFFU)));
  }
}

}  // namespace

std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char byte : bytes) {
    crc ^= static_cast<std::uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc >> 1U ^ (0xEDB88320U & (0U - (crc & 1U)));
    }
  }
  return ~crc;
}

Result<std::optional<GptGrowth>> plan_gpt_growth(std::string_view head,
                                                 const DiskGeometry& geometry) {
  Table table = TRY(read_table(head, geometry));
  TRY(check_entry(table, geometry));
  const std::uint64_t block = geometry.block_size;
  const std::uint64_t disk_last = geometry.disk_size / block - 1;
  if (disk_last < get<std::uint64_t>(table.header, kLastUsable) + table.entry_blocks + 1) {
    return broken("the disk is smaller than it says");
  }
  const std::uint64_t last_usable = disk_last - table.entry_blocks - 1;
  const std::size_t entry = static_cast<std::size_t>(geometry.partition - 1) * table.entry_size;
  const auto first = get<std::uint64_t>(table.entries, entry + kFirstLba);
  const auto old_last = get<std::uint64_t>(table.entries, entry + kLastLba);
  const std::uint64_t new_last = (last_usable + 1) * block / kAlignment * kAlignment / block - 1;
  if (new_last <= old_last || (new_last - old_last) * block < kLeastGain) {
    return std::optional<GptGrowth>();
  }

  put<std::uint64_t>(table.entries, entry + kLastLba, new_last);
  const std::uint32_t entries_crc = crc32(table.entries);
  std::string primary = table.header;
  put<std::uint64_t>(primary, kAlternateLba, disk_last);
  put<std::uint64_t>(primary, kLastUsable, last_usable);
  std::string backup = primary;
  put<std::uint64_t>(backup, kMyLba, disk_last);
  put<std::uint64_t>(backup, kAlternateLba, std::uint64_t{1});
  put<std::uint64_t>(backup, kEntriesLba, disk_last - table.entry_blocks);
  seal_header(primary, entries_crc);
  seal_header(backup, entries_crc);

  std::string start(head.substr(0, 2 * block + table.entries.size()));
  put_protective_mbr(start, disk_last);
  start.replace(block, block, primary);
  start.replace(2 * block, table.entries.size(), table.entries);
  // Beyond what has changed nothing is written again.
  start.resize(std::min<std::size_t>(start.size(),
                                     (2 * block + entry + table.entry_size + 4095) / 4096 * 4096));

  std::string end = table.entries;
  end.resize(table.entry_blocks * block);
  end += backup;
  GptGrowth growth;
  growth.writes.push_back({(disk_last - table.entry_blocks) * block, std::move(end)});
  growth.writes.push_back({0, std::move(start)});
  growth.partition_size = (new_last - first + 1) * block;
  return std::optional(std::move(growth));
}

}  // namespace goldmill::agent
