// SPDX-License-Identifier: GPL-3.0-or-later
// Header of a qcow2 file, version 3. Source: QEMU docs/interop/qcow2.txt.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include <goldmill/base/result.hpp>

namespace goldmill::qcow2 {

inline constexpr unsigned kClusterBits = 16;
inline constexpr std::uint64_t kCluster = 1ULL << kClusterBits;
inline constexpr std::uint64_t kTableEntries = kCluster / 8;  ///< of a level-2 table

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

/// The number that stands at `at`, which the bytes must reach.
template <typename Number>
Number number_at(std::string_view bytes, std::size_t at) {
  static_assert(std::is_unsigned_v<Number>);
  Number value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) {
    value = static_cast<Number>(value << 8U | static_cast<unsigned char>(bytes[at + i]));
  }
  return value;
}

enum class Compression : std::uint8_t { zlib = 0, zstd = 1 };

/// What goldmill's files say of themselves: clusters of 64 KiB, reference counts of 16 bits, no
/// encryption, no snapshots. Offsets are bytes in the file.
struct Header {
  std::uint64_t size = 0;  ///< of the disk that the guest sees, bytes
  std::uint32_t level1_entries = 0;
  std::uint64_t level1_table = 0;
  std::uint64_t refcount_table = 0;
  std::uint32_t refcount_table_clusters = 1;
  Compression compression = Compression::zlib;
  std::string backing = {};         ///< file name, absolute or beside this file; "": none
  std::string backing_format = {};  ///< "qcow2", "raw"
};

/// The first bytes of the file, at most one cluster.
/// Errors: invalid_input (a name longer than 1023 bytes, a format longer than 15).
Result<std::string> to_bytes(const Header& header);

/// Reads size, tables and backing file of any qcow2 file. Errors: invalid_input.
Result<Header> read_header(int file);

}  // namespace goldmill::qcow2
