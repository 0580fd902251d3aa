// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/exporter/linked_disk.hpp>

#include "output_file.hpp"
#include "qcow2_layout.hpp"
#include "qcow2_writer.hpp"

namespace goldmill::exporter {

namespace {
Bytes whole_size(std::uint64_t disk_size, const ClusterMap& clusters) {
  Qcow2Layout layout(disk_size, Qcow2Compression::zstd);
  std::uint64_t at = layout.data_begin();
  for (const Cluster& cluster : clusters.clusters()) {
    if (cluster.stored > 0) {
      layout.add_compressed(cluster.number, at, cluster.stored);
      at += cluster.stored;
    }
  }
  at = qcow2::clusters_of(at) * qcow2::kCluster;
  for (const Cluster& cluster : clusters.clusters()) {
    if (cluster.stored == 0) {
      layout.add_plain(cluster.number, at);
      at += qcow2::kCluster;
    }
  }
  return Bytes{layout.file_size(at)};
}
}  // namespace

Result<LinkedDisk> write_linked_disk(const std::filesystem::path& raw,
                                     const std::optional<BackingDisk>& backing,
                                     const std::filesystem::path& output,
                                     const Progress& progress) {
  const RawDisk disk = TRY(RawDisk::open(raw));
  OutputFile file = TRY(OutputFile::open(output));
  Qcow2Settings settings;
  settings.maps = true;
  settings.backing = backing ? &*backing : nullptr;
  LinkedDisk linked;
  linked.clusters = TRY(write_clusters(disk, settings, progress, file.descriptor())
                            .context("while writing " + output.string()));
  linked.whole = whole_size(disk.size(), linked.clusters);
  TRY(file.commit());
  return linked;
}

}  // namespace goldmill::exporter
