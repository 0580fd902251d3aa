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
#include <goldmill/guest/debian_family.hpp>

namespace goldmill::factory {

struct LockFile {
  std::string recipe;
  std::optional<Digest> parent;  ///< image digest of the base, for a variant
  /// What the recipe asked for when this was resolved; another wish means resolving again.
  Json requests;
  Json packages;  ///< a guest::Resolution: version, SHA-256 and pool path of each; no host name
  Json tools;     ///< the same for the boot loader's packages, for a base; else null
  Json step_tools = {};  ///< the same for what steps use from outside: Puppet, modules; or null
  /// What steps discovered: {step: {"declared": digest of what the step says, "packages": [...]}}.
  Json step_packages = Json::object();
  std::int64_t epoch = 0;
  /// Lines that the build made: {"passwd": [...], "group": [...], "shadow": [...], ...}.
  Json accounts = Json::object();

  /// What steps read from beside the recipe: {step: {what: SHA-256 of the file or directory}}, with
  /// the recipe's own files and what this machine gives. null: nobody noted it. The steps' keys
  /// have it, so it is not part of the digest.
  Json inputs;
  /// Of the recipe's repositories, as guest::DebianFamily::archives() gives them; null where there
  /// are none, or nobody noted them. `requests` has them with their keys.
  Json archives;
  /// Ids of the accounts that the image has and its parent has not: {"users": {name: id}, "groups":
  /// {name: id}}. What they are follows from all the rest, so they are not part of the digest.
  Json ids = Json::object();

  /// Errors: not_found; invalid_input when it is damaged or of a newer goldmill.
  static Result<LockFile> read(const std::filesystem::path& file);
  /// As read(), but nothing where there is none.
  static Result<std::optional<LockFile>> find(const std::filesystem::path& file);
  std::string text() const;  ///< of the file
  Result<void> write(const std::filesystem::path& file) const;
  Digest digest() const;  ///< of all but inputs, archives and ids
  /// Locked packages, the boot loader's too: name -> version.
  std::map<std::string, std::string> versions() const;
  /// Errors: invalid_input when it is damaged.
  Result<guest::PinnedPackages> pinned() const;

  /// java.yaml -> java.lock in the same directory.
  static std::filesystem::path path_for(const std::filesystem::path& recipe);
  /// java.yaml -> java.packages in the same directory: where keep-packages keeps them.
  static std::filesystem::path kept_path_for(const std::filesystem::path& recipe);

 private:
  Json to_json() const;
};

}  // namespace goldmill::factory
