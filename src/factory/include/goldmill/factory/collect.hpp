// SPDX-License-Identifier: GPL-3.0-or-later
// Garbage collection: makes room by removing what nothing needs any more. May run beside builds
// and launches.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/factory/session.hpp>

namespace goldmill::factory {

struct CollectRequest {
  bool dry_run = false;
  /// Of every name only so many newest versions stay; 0: all. Never goes what another image
  /// stands on, what an instance is linked to, and what a channel names.
  int keep_versions = 0;
  /// Versions that are younger stay as well; of every name the newest does in any case. None: their
  /// number alone counts.
  std::optional<std::chrono::hours> keep_younger;
  /// Steps that no image holds stay this long: a changed or failed build takes them up again.
  /// Packages and logs that were not used as long go too.
  std::chrono::hours keep_unused = std::chrono::hours(24 * 7);
};

struct CollectReport {
  std::vector<std::string> images;            ///< "java@2"
  std::map<std::string, std::size_t> counts;  ///< "layers", "disks", "packages", ...
  Bytes freed;
  /// {"images", "removed": {"layers": n, ...}, "freed_bytes"}
  Json to_json() const;
};

/// Removes it, or only says what it would. Killed at any moment it leaves a clean store.
Result<CollectReport> collect(Session& session, const CollectRequest& request);

}  // namespace goldmill::factory
