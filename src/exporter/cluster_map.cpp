// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>

#include <goldmill/exporter/cluster_map.hpp>
#include <goldmill/qcow2/header.hpp>

namespace goldmill::exporter {

namespace {
constexpr std::size_t kDigest = 32;
constexpr std::size_t kRecord = 4 + 4 + kDigest;
}  // namespace

std::string ClusterMap::to_bytes() const {
  std::string bytes;
  bytes.reserve(clusters_.size() * kRecord);
  for (const Cluster& cluster : clusters_) {
    qcow2::append(bytes, cluster.number);
    qcow2::append(bytes, cluster.stored);
    bytes.append(cluster.content.bytes().begin(), cluster.content.bytes().end());
  }
  return bytes;
}

Result<ClusterMap> ClusterMap::parse(std::string_view bytes) {
  std::vector<Cluster> clusters;
  clusters.reserve(bytes.size() / kRecord);
  for (; bytes.size() >= kRecord; bytes.remove_prefix(kRecord)) {
    std::array<std::uint8_t, kDigest> content{};
    std::copy_n(bytes.begin() + 8, content.size(), content.begin());
    const Cluster cluster{qcow2::number_at<std::uint32_t>(bytes, 0),
                          qcow2::number_at<std::uint32_t>(bytes, 4),
                          Digest(content)};
    if (!clusters.empty() && cluster.number <= clusters.back().number) {
      break;
    }
    clusters.push_back(cluster);
  }
  if (!bytes.empty()) {
    return Error{ErrorKind::corrupt, "a list of a disk's clusters is damaged"};
  }
  return ClusterMap(std::move(clusters));
}

const Cluster* ClusterMap::find(std::uint64_t number) const {
  const auto found = std::lower_bound(
      clusters_.begin(), clusters_.end(), number, [](const Cluster& cluster, std::uint64_t wanted) {
        return cluster.number < wanted;
      });
  return found == clusters_.end() || found->number != number ? nullptr : &*found;
}

}  // namespace goldmill::exporter
