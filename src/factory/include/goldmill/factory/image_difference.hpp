// SPDX-License-Identifier: GPL-3.0-or-later
// What differs between two images, at four levels.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/build/compare.hpp>
#include <goldmill/factory/session.hpp>

namespace goldmill::factory {

enum class Level : std::uint8_t { recipe, packages, files, promises };

/// One value of the merged recipe, or one promise; null where it is not there.
struct SettingDifference {
  std::string path;  ///< "baseline.timezone", "promises.commands"
  Json before;
  Json after;
  std::string text = {};  ///< of a script or another text of several lines: as `diff -u` says it
};

struct PackageDifference {
  std::string name;
  std::string before;  ///< version, or "" when it is not installed
  std::string after;
  std::size_t files = 0;       ///< of it that differ; 0 when files were not asked for
  const char* change() const;  ///< "added", "removed", "upgraded", "downgraded"
};

struct FileDifference {
  build::TreeChange change;
  std::string package;  ///< whose file it is, or ""
  /// It follows from a package that differs: its own file, or what dpkg and the linker note.
  bool follows = false;
};

/// Levels that were not asked for are empty.
struct ImageDifference {
  std::string before;  ///< "base@1"
  std::string after;
  std::set<Level> levels;
  std::vector<SettingDifference> recipe;
  std::vector<PackageDifference> packages;
  std::vector<FileDifference> files;
  std::vector<SettingDifference> promises;  ///< then those whose outcomes differ: "passed: ..."
  std::vector<std::string> notes;           ///< what could not be compared, and why

  bool is_empty() const;
  /// {"before", "after", "equal", "recipe": [{"path", "before", "after", "text"}], "packages":
  /// [{"name", "change", "before", "after", "files"}], "files": [{"path", "change", "what",
  /// "before", "after", "package", "follows", "text"}], "promises": [as in recipe], "notes"}; a
  /// level that was not asked for is not there.
  Json to_json() const;
};

struct DifferenceRequest {
  std::string before;  ///< references
  std::string after;
  std::set<Level> levels = {Level::recipe, Level::packages, Level::files, Level::promises};
};

/// Errors: not_found (an image), corrupt (a layer is gone).
Result<ImageDifference> compare_images(Session& session, const DifferenceRequest& request);

}  // namespace goldmill::factory
