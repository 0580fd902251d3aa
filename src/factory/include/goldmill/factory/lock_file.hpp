// SPDX-License-Identifier: GPL-3.0-or-later
// LockFile: NAME.lock beside a recipe. It pins what a build depends on, so that every later build
// gives the same bytes. People commit it; docs/decisions/0004 says why it is as it is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::factory {

struct LockFile {
  std::string recipe;
  std::optional<Digest> parent;  ///< image digest of the base, for a variant
  /// What the recipe asked for when this was resolved; another wish means resolving again.
  Json requests;
  Json packages;  ///< a guest::Resolution: version, SHA-256 and pool path of each; no host name
  Json tools;     ///< the same for the boot loader's packages, for a base; else null
  std::int64_t epoch = 0;
  /// Lines that the build made: {"passwd": [...], "group": [...], "shadow": [...], ...}.
  Json accounts = Json::object();

  /// Errors: not_found; invalid_input when it is damaged or of a newer goldmill.
  static Result<LockFile> read(const std::filesystem::path& file);
  /// As read(), but nothing where there is none.
  static Result<std::optional<LockFile>> find(const std::filesystem::path& file);
  Result<void> write(const std::filesystem::path& file) const;
  Digest digest() const;
  /// Locked packages, the boot loader's too: name -> version.
  std::map<std::string, std::string> versions() const;

  /// java.yaml -> java.lock in the same directory.
  static std::filesystem::path path_for(const std::filesystem::path& recipe);

 private:
  Json to_json() const;
};

}  // namespace goldmill::factory
