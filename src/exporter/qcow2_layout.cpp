// SPDX-License-Identifier: GPL-3.0-or-later
#include "qcow2_layout.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <type_traits>

#include "raw_disk.hpp"

namespace goldmill::exporter {

namespace {
constexpr std::uint64_t kEntries = kCluster / 8;     // of a level-2 table
constexpr std::uint64_t kReferences = kCluster / 2;  // of a refcount block, 16 bits each
constexpr std::uint64_t kSingle = 1ULL << 63;        // "refcount is exactly one"
constexpr std::uint64_t kCompressed = 1ULL << 62;
constexpr unsigned kSectorsShift = 62 - (kClusterBits - 8);
constexpr std::uint64_t kCompressionFeature = 1ULL << 3;
constexpr std::uint32_t kHeaderLength = 112;

constexpr std::uint64_t clusters_of(std::uint64_t bytes) {
  return (bytes + kCluster - 1) / kCluster;
}

/// All numbers of the format are big-endian.
template <typename Number>
void append(std::string& bytes, Number value) {
  static_assert(std::is_unsigned_v<Number>);
  for (int shift = static_cast<int>(sizeof value) * 8 - 8; shift >= 0; shift -= 8) {
    bytes += static_cast<char>(static_cast<std::uint8_t>(value >> shift));
  }
}

template <typename Number>
std::string table(const std::vector<Number>& entries) {
  std::string bytes;
  bytes.reserve(entries.size() * sizeof(Number));
  for (const Number entry : entries) {
    append(bytes, entry);
  }
  bytes.resize(clusters_of(bytes.size()) * kCluster);
  return bytes;
}
}  // namespace

Qcow2Layout::Qcow2Layout(std::uint64_t size, Qcow2Compression compression)
    : size_(size), compression_(compression) {
  const std::uint64_t tables = (clusters_of(size) + kEntries - 1) / kEntries;
  level1_.resize(tables);
  level2_.resize(tables);
  count(0, data_begin());
}

std::uint64_t Qcow2Layout::data_begin() const {
  return kCluster + std::max<std::uint64_t>(clusters_of(level1_.size() * 8), 1) * kCluster;
}

void Qcow2Layout::count(std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t last = (end - 1) / kCluster;
  if (references_.size() <= last) {
    references_.resize(last + 1);
  }
  for (std::uint64_t cluster = begin / kCluster; cluster <= last; ++cluster) {
    ++references_[cluster];
  }
}

std::vector<std::uint64_t>& Qcow2Layout::table_of(std::uint64_t cluster) {
  std::vector<std::uint64_t>& entries = level2_.at(cluster / kEntries);
  if (entries.empty()) {
    entries.resize(kEntries);
  }
  return entries;
}

void Qcow2Layout::add_compressed(std::uint64_t cluster, std::uint64_t offset, std::uint64_t size) {
  // Readers take whole sectors; the number is of those behind the first.
  const std::uint64_t first = offset / 512;
  const std::uint64_t last = (offset + size - 1) / 512;
  table_of(cluster)[cluster % kEntries] = kCompressed | (last - first) << kSectorsShift | offset;
  count(offset, (last + 1) * 512);
}

void Qcow2Layout::add_plain(std::uint64_t cluster, std::uint64_t offset) {
  table_of(cluster)[cluster % kEntries] = kSingle | offset;
  count(offset, offset + kCluster);
}

Result<std::uint64_t> Qcow2Layout::write_level2(int output, std::uint64_t end) {
  for (std::size_t i = 0; i < level2_.size(); ++i) {
    if (level2_[i].empty()) {
      continue;
    }
    const std::string bytes = table(level2_[i]);
    TRY(write_at(output, end, bytes.data(), bytes.size()));
    level1_[i] = kSingle | end;
    count(end, end + kCluster);
    end += kCluster;
  }
  return end;
}

Result<std::uint64_t> Qcow2Layout::write_refcounts(int output, std::uint64_t end) {
  // The blocks count themselves and their table: ask again until the number stays.
  const std::uint64_t before = end / kCluster;
  std::uint64_t blocks = 0;
  std::uint64_t tables = 1;
  while (blocks * kReferences < before + blocks + tables) {
    ++blocks;
    tables = clusters_of(blocks * 8);
  }
  const std::uint64_t total = before + blocks + tables;
  count(end, total * kCluster);
  references_.resize(blocks * kReferences);
  const std::string counts = table(references_);
  std::vector<std::uint64_t> entries;
  for (std::uint64_t i = 0; i < blocks; ++i) {
    entries.push_back(end + i * kCluster);
  }
  const std::string places = table(entries);
  TRY(write_at(output, end, counts.data(), counts.size()));
  TRY(write_at(output, end + counts.size(), places.data(), places.size()));
  refcount_table_ = end + counts.size();
  refcount_table_clusters_ = tables;
  return total * kCluster;
}

Result<void> Qcow2Layout::write_header(int output) const {
  const bool zstd = compression_ == Qcow2Compression::zstd;
  std::string header = "QFI\xfb";
  append<std::uint32_t>(header, 3);
  append<std::uint64_t>(header, 0);  // no backing file
  append<std::uint32_t>(header, 0);
  append<std::uint32_t>(header, kClusterBits);
  append<std::uint64_t>(header, size_);
  append<std::uint32_t>(header, 0);  // not encrypted
  append<std::uint32_t>(header, static_cast<std::uint32_t>(level1_.size()));
  append<std::uint64_t>(header, kCluster);
  append<std::uint64_t>(header, refcount_table_);
  append<std::uint32_t>(header, static_cast<std::uint32_t>(refcount_table_clusters_));
  append<std::uint32_t>(header, 0);  // no snapshots
  append<std::uint64_t>(header, 0);
  append<std::uint64_t>(header, zstd ? kCompressionFeature : 0);
  append<std::uint64_t>(header, 0);
  append<std::uint64_t>(header, 0);
  append<std::uint32_t>(header, 4);  // refcounts of 16 bits
  append<std::uint32_t>(header, kHeaderLength);
  header += static_cast<char>(compression_);
  header.resize(kCluster);  // and the end of the extensions
  const std::string level1 = table(level1_);
  TRY(write_at(output, kCluster, level1.data(), level1.size()));
  return write_at(output, 0, header.data(), header.size());
}

Result<std::uint64_t> Qcow2Layout::finish(int output, std::uint64_t end) {
  end = clusters_of(end) * kCluster;
  end = TRY(write_level2(output, end));
  end = TRY(write_refcounts(output, end));
  TRY(write_header(output));
  return end;
}

}  // namespace goldmill::exporter
