// SPDX-License-Identifier: GPL-3.0-or-later
// Deciding on packages without building: writes NAME.lock and says what moved.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/factory/build_image.hpp>
#include <goldmill/factory/session.hpp>

namespace goldmill::factory {

/// One package whose locked version changed; "" where it was not, or is no more.
struct Move {
  std::string package;
  std::string from;
  std::string to;
};

/// By name; both map names to versions.
std::vector<Move> moves_between(const std::map<std::string, std::string>& before,
                                const std::map<std::string, std::string>& after);

struct LockReport {
  std::string recipe;
  std::filesystem::path file;
  std::size_t packages = 0;
  std::vector<Move> moved;
  /// {"recipe", "lock", "packages", "moved": [{"package", "from", "to"}]}, null for "".
  Json to_json() const;
};

/// Locks one recipe: anew where its lock does not say what it needs; with `update`, to what the
/// archive has now, or only `update_only` of it. Its ancestors' images must be up to date.
/// Errors: conflict (an ancestor is to be built first); those of resolving.
Result<LockReport> lock_recipe(Session& session, const BuildRequest& request);

}  // namespace goldmill::factory
