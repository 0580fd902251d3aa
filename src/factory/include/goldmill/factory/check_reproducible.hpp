// SPDX-License-Identifier: GPL-3.0-or-later
// Building an image again in other surroundings, to see that not a byte of it depends on them.
#pragma once

#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/factory/build_image.hpp>
#include <goldmill/factory/session.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::factory {

/// Something of the machine, as it was in both builds.
struct Condition {
  std::string name;  ///< "host name"
  std::string first;
  std::string second;
  bool differs() const { return first != second; }
};

/// One path that is not the same in both builds.
struct StepDifference {
  std::string step;
  std::string path;    ///< in the image; "" for the disk as a whole
  std::string what;    ///< "content", "mode", ...
  std::string offset;  ///< of the first byte that differs, or ""
  std::string first;   ///< the bytes there as text or in hexadecimal, or the value
  std::string second;
  std::string cause;  ///< the likely one, or ""
};

struct ReproducibilityReport {
  std::string image;
  std::vector<Condition> conditions;
  std::vector<std::string> steps;  ///< those that were built again
  std::vector<StepDifference> differences;
  std::uint64_t omitted = 0;  ///< paths that differ and are not in the list
  double seconds = 0;
  bool is_identical() const { return differences.empty(); }
  /// {"identical", "conditions": [{"name", "first", "second"}], "steps", "differences": [{"step",
  ///  "path", "what", "offset", "first", "second", "likely_cause"}], "omitted", "seconds"}
  Json to_json() const;
};

/// Builds the one recipe of `request`, of which `image` was just built, once more from its lock: in
/// a home that shares only packages and the parent's layers with this one and is gone afterwards.
/// Errors: tool_failed, when a step fails this time.
Result<ReproducibilityReport> check_reproducible(Session& session,
                                                 const BuildRequest& request,
                                                 const store::ImageRecord& image);

/// The workers of this module, for main()'s table.
std::span<const system::WorkerEntry> workers();

}  // namespace goldmill::factory
