// SPDX-License-Identifier: GPL-3.0-or-later
// ClusterMap: what each 64 KiB of a disk hold, by digest, and what they take compressed. A later
// disk is compared with it without reading the earlier one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/digest.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::exporter {

struct Cluster {
  std::uint32_t number = 0;
  std::uint32_t stored = 0;  ///< bytes; 0: as it is, since compressing gains nothing
  Digest content;            ///< of the 64 KiB; what lies behind the disk's end counts as zeros
};

class ClusterMap {
 public:
  ClusterMap() = default;
  /// In the order of their numbers; those of zeros are left out.
  explicit ClusterMap(std::vector<Cluster> clusters) : clusters_(std::move(clusters)) {}

  /// Per cluster 4 bytes of number, 4 of size, both big-endian, and the 32 of the digest.
  std::string to_bytes() const;
  /// Errors: corrupt.
  static Result<ClusterMap> parse(std::string_view bytes);

  const std::vector<Cluster>& clusters() const { return clusters_; }
  /// nullptr: zeros.
  const Cluster* find(std::uint64_t number) const;

 private:
  std::vector<Cluster> clusters_;
};

}  // namespace goldmill::exporter
