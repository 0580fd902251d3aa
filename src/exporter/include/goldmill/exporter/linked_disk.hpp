// SPDX-License-Identifier: GPL-3.0-or-later
// A compressed qcow2 that stands on another: it holds what differs from that. So a variant's disk
// takes what the variant adds.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <goldmill/exporter/cluster_map.hpp>
#include <goldmill/exporter/exporter.hpp>

namespace goldmill::exporter {

/// The qcow2 file that another one is to stand on.
struct BackingDisk {
  std::string name;  ///< of a file in the same directory
  ClusterMap clusters;
};

struct LinkedDisk {
  ClusterMap clusters;  ///< of the whole disk
  Bytes whole;          ///< what it would take without the other: the size of an exported qcow2
};

/// Writes a raw disk; the output appears whole and durable, or not at all. The bytes depend on the
/// disk and the backing disk's clusters alone. Errors: no_space, cancelled.
Result<LinkedDisk> write_linked_disk(const std::filesystem::path& raw,
                                     const std::optional<BackingDisk>& backing,
                                     const std::filesystem::path& output,
                                     const Progress& progress = {});

}  // namespace goldmill::exporter
