// SPDX-License-Identifier: GPL-3.0-or-later
// Keeping the packages of locks, for builds on the day when the archive has them no longer.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/factory/session.hpp>
#include <goldmill/guest/kept_packages.hpp>

namespace goldmill::factory {

struct KeepRequest {
  std::vector<std::filesystem::path> recipes;
  std::string os;            ///< of an installer's answer file, which does not say it
  std::filesystem::path to;  ///< where the directories are made; "": each beside its lock
  bool only_own = false;     ///< not those of the ancestors
  bool prune = false;        ///< remove package files that the lock does not name
};

struct KeptRecipe {
  std::string recipe;
  std::filesystem::path directory;  ///< NAME.packages
  guest::KeptPackages kept;
  std::size_t pruned = 0;
  /// {"recipe", "directory", "packages", "bytes", "added", "repaired", "not_wanted", "pruned"}
  Json to_json() const;
};

/// Keeps what a build of the recipes needs from the archive, ancestors first: each lock's packages
/// in a directory of their own. What is not in the cache is fetched.
/// Errors: conflict (a recipe is not locked), those of fetching.
Result<std::vector<KeptRecipe>> keep_packages(Session& session, const KeepRequest& request);

}  // namespace goldmill::factory
