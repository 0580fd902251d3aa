// SPDX-License-Identifier: GPL-3.0-or-later
#include "qcow2_layout.hpp"

#include <algorithm>

#include "raw_disk.hpp"

namespace goldmill::exporter {

namespace {
using qcow2::append;
using qcow2::clusters_of;
using qcow2::kCluster;

constexpr std::uint64_t kEntries = qcow2::kTableEntries;
constexpr std::uint64_t kReferences = kCluster / 2;  // of a refcount block, 16 bits each
constexpr std::uint64_t kSingle = 1ULL << 63U;       // "refcount is exactly one"
constexpr std::uint64_t kCompressed = 1ULL << 62U;
constexpr std::uint64_t kZeros = 1;
constexpr unsigned kSectorsShift = 62 - (qcow2::kClusterBits - 8);

/// Clusters of blocks and of their table, which count themselves too.
struct Refcounts {
  std::uint64_t blocks = 0;
  std::uint64_t tables = 1;
};

/// For a file whose other clusters are `before`.
Refcounts refcounts_for(std::uint64_t before) {
  Refcounts needed;  // ask again until the number stays
  while (needed.blocks * kReferences < before + needed.blocks + needed.tables) {
    ++needed.blocks;
    needed.tables = clusters_of(needed.blocks * 8);
  }
  return needed;
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

void Qcow2Layout::add_zeros(std::uint64_t cluster) {
  table_of(cluster)[cluster % kEntries] = kZeros;
}

std::uint64_t Qcow2Layout::file_size(std::uint64_t end) const {
  const auto tables = static_cast<std::uint64_t>(std::count_if(
      level2_.begin(), level2_.end(), [](const auto& entries) { return !entries.empty(); }));
  const std::uint64_t before = clusters_of(end) + tables;
  const Refcounts counts = refcounts_for(before);
  return (before + counts.blocks + counts.tables) * kCluster;
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
  const auto [blocks, tables] = refcounts_for(end / kCluster);
  const std::uint64_t total = end / kCluster + blocks + tables;
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
  qcow2::Header header;
  header.size = size_;
  header.level1_entries = static_cast<std::uint32_t>(level1_.size());
  header.level1_table = kCluster;
  header.refcount_table = refcount_table_;
  header.refcount_table_clusters = static_cast<std::uint32_t>(refcount_table_clusters_);
  header.compression = compression_;
  header.backing = backing_;
  header.backing_format = backing_.empty() ? "" : "qcow2";
  const std::string level1 = table(level1_);
  TRY(write_at(output, kCluster, level1.data(), level1.size()));
  std::string first = TRY(qcow2::to_bytes(header));
  first.resize(kCluster);
  return write_at(output, 0, first.data(), first.size());
}

Result<std::uint64_t> Qcow2Layout::finish(int output, std::uint64_t end) {
  end = clusters_of(end) * kCluster;
  end = TRY(write_level2(output, end));
  end = TRY(write_refcounts(output, end));
  TRY(write_header(output));
  return end;
}

}  // namespace goldmill::exporter
