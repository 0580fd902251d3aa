// SPDX-License-Identifier: GPL-3.0-or-later
// Qcow2Layout: which cluster of the guest lies where in a qcow2 file, and the tables that say so.
// Source: QEMU docs/interop/qcow2.txt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/qcow2/header.hpp>

namespace goldmill::exporter {

using Qcow2Compression = qcow2::Compression;

class Qcow2Layout {
 public:
  Qcow2Layout(std::uint64_t size, Qcow2Compression compression);

  /// What is not added here is read from the qcow2 file of that name, in the same directory.
  void stand_on(std::string name) { backing_ = std::move(name); }
  /// Where the first data goes: behind header and level-1 table.
  std::uint64_t data_begin() const;
  /// A compressed cluster of `size` bytes at `offset` of the file.
  void add_compressed(std::uint64_t cluster, std::uint64_t offset, std::uint64_t size);
  /// A cluster stored as it is, at a multiple of the cluster size.
  void add_plain(std::uint64_t cluster, std::uint64_t offset);
  /// A cluster of zeros, whatever the file below has there.
  void add_zeros(std::uint64_t cluster);
  /// What finish() will give, when the data ends at `end`.
  std::uint64_t file_size(std::uint64_t end) const;
  /// Writes all tables from `end` (of the data) on, then the header. Gives the file's size.
  Result<std::uint64_t> finish(int output, std::uint64_t end);

 private:
  void count(std::uint64_t begin, std::uint64_t end);
  std::vector<std::uint64_t>& table_of(std::uint64_t cluster);
  Result<std::uint64_t> write_level2(int output, std::uint64_t end);
  Result<std::uint64_t> write_refcounts(int output, std::uint64_t end);
  Result<void> write_header(int output) const;

  std::uint64_t size_;
  Qcow2Compression compression_;
  std::string backing_;
  std::vector<std::uint64_t> level1_;
  std::vector<std::vector<std::uint64_t>> level2_;  ///< empty: nothing there
  std::vector<std::uint16_t> references_;           ///< of each cluster of the file
  std::uint64_t refcount_table_ = 0;
  std::uint64_t refcount_table_clusters_ = 0;
};

}  // namespace goldmill::exporter
