// SPDX-License-Identifier: GPL-3.0-or-later
// The one writer of qcow2 data: compresses on all cores, writes in order.
#pragma once

#include <algorithm>
#include <thread>

#include <goldmill/exporter/linked_disk.hpp>

#include "qcow2_layout.hpp"
#include "raw_disk.hpp"

namespace goldmill::exporter {

struct Qcow2Settings {
  Qcow2Compression compression = Qcow2Compression::zstd;
  int level = 3;
  unsigned threads = std::max(1U, std::thread::hardware_concurrency());
  bool maps = false;                     ///< whether the clusters' digests are asked for
  const BackingDisk* backing = nullptr;  ///< needs `maps`
};

/// Gives the disk's clusters when they are asked for. The bytes written do not depend on the number
/// of threads. Errors: invalid_input (a disk's size), cancelled, no_space.
Result<ClusterMap> write_clusters(const RawDisk& disk,
                                  const Qcow2Settings& settings,
                                  const Progress& progress,
                                  int output);

}  // namespace goldmill::exporter
