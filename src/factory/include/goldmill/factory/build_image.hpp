// SPDX-License-Identifier: GPL-3.0-or-later
// From a recipe to a finished image: plan, build what is not yet done, assemble, record.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/factory/session.hpp>
#include <goldmill/plan/plan.hpp>

namespace goldmill::factory {

struct BuildRequest {
  std::filesystem::path recipe;
  std::map<std::string, std::string> set;  ///< --set KEY=VALUE
  bool update = false;                     ///< look for newer packages and rewrite the lock
  bool shell_on_failure = false;           ///< open a shell in a failed step's sandbox
};

struct StepReport {
  std::string image;
  std::string name;
  std::string key;
  bool ran = false;
  double seconds = 0;
};

struct BuildReport {
  store::ImageRecord image;
  std::vector<StepReport> steps;
  double seconds = 0;
  /// {"image": {"name", "version", "digest", "disk_digest", "packages", "disk_used_bytes"},
  ///  "steps": [{"name", "key", "result": "ran"|"cached", "seconds"}], "seconds"}
  Json to_json() const;
};

/// What a build would do, base first. Resolves packages when there is no lock yet (which may
/// read the archive's indexes), and changes nothing.
Result<std::vector<plan::Plan>> plan_image(Session& session, const BuildRequest& request);

/// Builds the recipe and, before it, the ancestors that are missing or out of date.
Result<BuildReport> build_image(Session& session, const BuildRequest& request);

}  // namespace goldmill::factory
