// SPDX-License-Identifier: GPL-3.0-or-later
// From a recipe to a finished image: plan, build what is not yet done, assemble, record.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/factory/session.hpp>
#include <goldmill/plan/plan.hpp>
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::factory {

struct BuildRequest {
  std::vector<std::filesystem::path> recipes;
  std::map<std::string, std::string> set;  ///< --set KEY=VALUE
  std::string os = {};                     ///< of Kickstart profiles: "debian/12"
  bool update = false;                     ///< look for newer packages and rewrite the lock
  std::vector<std::string> update_only;    ///< with `update`: all others stay where they can
  bool locked = false;                     ///< fail rather than resolve packages; write no lock
  bool shell_on_failure = false;           ///< open a shell in a failed step's sandbox
  bool same_files = false;  ///< a step that reads other files than the lock says is an error
  bool keep_lock = false;   ///< write no lock, whatever the build finds out
  /// Unless empty: digests of the only images that may come of it.
  std::set<Digest> only = {};
  /// Images that are built at the same time; 0: as many as cores and memory allow.
  int jobs = 0;
};

struct StepReport {
  std::string name;
  std::string key;
  bool ran = false;
  double seconds = 0;
};

struct ImageReport {
  store::ImageRecord image;
  std::vector<StepReport> steps;
  /// {"name", "version", "digest", "disk_digest", "packages", "disk_used_bytes"}
  Json to_json() const;
};

struct BuildReport {
  std::vector<ImageReport> images;  ///< parents before what stands on them
  double seconds = 0;
  std::size_t steps_run() const;
  /// {"steps": [{"image", "name", "key", "result": "ran"|"cached", "seconds"}], "seconds"}
  Json to_json() const;
};

/// An image whose parent is to be built first: nobody knows yet on what its steps will stand.
struct WaitingImage {
  std::string image;
  std::string parent;
  /// Of its newest version, each with the seconds that it took: what will run if the recipe is the
  /// same.
  std::vector<std::pair<std::string, double>> steps;

  double seconds() const;
};

/// What a build would do, parents first.
struct BuildPlan {
  std::vector<plan::Plan> images;
  /// Images whose parent must be built before their own steps are known, with that parent.
  std::vector<WaitingImage> waiting;
  /// The parts that a recipe was put together from, with its image.
  std::vector<std::pair<std::string, recipe::PartUse>> parts;
  bool is_done() const;
  /// {"images": [...], "waiting": [{"image", "for", "steps": [{"name", "expected_seconds"}]}],
  ///  "parts": [{"image", "part", "file", "included", "enforced"}]}
  Json to_json() const;
};

/// Plans the recipes and their ancestors. Resolves packages when there is no lock yet (which may
/// read the archive's indexes), and changes nothing.
Result<BuildPlan> plan_images(Session& session, const BuildRequest& request);

/// Builds the recipes and, before them, the ancestors that are missing or out of date; those that
/// do not stand on each other at the same time. One that fails does not stop the others.
/// Errors: the recipe's own; for several, the first one's kind, with all that failed.
Result<BuildReport> build_images(Session& session, const BuildRequest& request);

}  // namespace goldmill::factory
