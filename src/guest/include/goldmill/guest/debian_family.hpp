// SPDX-License-Identifier: GPL-3.0-or-later
// DebianFamily: what Debian and Ubuntu need to know to turn a recipe into steps.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/guest/debian_release.hpp>
#include <goldmill/guest/resolver.hpp>
#include <goldmill/guest/tree_files.hpp>
#include <goldmill/plan/step.hpp>
#include <goldmill/plan/step_kind.hpp>
#include <goldmill/recipe/recipe.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::guest {

/// The package database of the image that a variant stands on.
struct ParentPackages {
  std::string dpkg_status;
  std::string extended_states;
};

struct FamilySettings {
  std::filesystem::path home;  ///< $GOLDMILL_HOME
  Refresh refresh = Refresh::if_missing;
};

/// One recipe among its ancestors. `own` is as written, `merged` has everything that holds.
struct RecipeView {
  const recipe::Recipe& own;
  const recipe::Recipe& merged;
  const recipe::Recipe* parent = nullptr;  ///< the parent's merged recipe, for a variant
};

/// What a lock file pins of a recipe's packages.
struct PinnedPackages {
  Resolution packages;
  Resolution tools;                ///< the boot loader's; empty for a variant
  Json accounts = Json::object();  ///< lines by file: {"passwd": [...], "group": [...], ...}
};

/// Texts that do not follow from the recipe alone.
struct GivenFiles {
  std::string fstab = {};
  std::string apt_sources = {};  ///< deb822, of the guest's own apt
};

class DebianFamily {
 public:
  /// Errors: not_found (no such release).
  static Result<DebianFamily> open(const recipe::Os& os, FamilySettings settings);
  DebianFamily(DebianFamily&&) noexcept;
  ~DebianFamily();

  const DebianRelease& release() const { return *release_; }

  /// The packages that a recipe asks for, in whatever way: canonical, for comparison with a lock.
  Result<Json> wishes(const RecipeView& view) const;

  /// What the guest's own apt gets: the recipe's `apt: {sources}`, else the archives that the
  /// image is built from. Errors: invalid_input for archives that a guest cannot or must not use.
  Result<std::string> guest_sources(const recipe::Recipe& merged) const;

  /// Decides on exact packages. Reads the archive's indexes when that is needed. What is in `keep`
  /// (name -> version) stays at its version where the archive still has it and nothing needs more.
  Result<PinnedPackages> resolve(const RecipeView& view,
                                 const ParentPackages& parent,
                                 const std::map<std::string, std::string>& keep,
                                 const FetchProgress& progress) const;

  /// What the archive has newer than the packages of an image made from `merged`.
  Result<std::vector<Upgrade>> upgrades(const recipe::Recipe& merged,
                                        const std::string& dpkg_status,
                                        const FetchProgress& progress) const;

  /// The steps before the recipe's own provisioning, and those after it.
  struct Steps {
    std::vector<plan::Step> before;
    std::vector<plan::Step> after;
  };
  /// `installed` maps the names of all packages of the finished image to versions.
  struct StepsInput {
    const PinnedPackages& pinned;
    GivenFiles given = {};
    GivenFiles parent_given = {};
    std::map<std::string, std::string> installed = {};
    std::map<std::string, std::string> parent_installed = {};
  };
  Result<Steps> steps(const RecipeView& view, const StepsInput& input) const;

  /// The kinds that run our steps. Package files come from `pinned`, fetched when missing.
  std::vector<std::unique_ptr<plan::StepKind>> kinds(const RecipeView& view,
                                                     const PinnedPackages& pinned) const;

 private:
  DebianFamily(const DebianRelease& release, recipe::Os os, FamilySettings settings);

  Result<ResolveRequest> request_for(const RecipeView& view, const ParentPackages& parent) const;
  Result<std::vector<Source>> sources(const recipe::Recipe& own) const;
  std::vector<TreeFile> given_files(const GivenFiles& given) const;

  const DebianRelease* release_;
  recipe::Os os_;
  FamilySettings settings_;
};

/// The workers of this module, for main()'s table.
std::span<const system::WorkerEntry> workers();

/// Name -> version of the installed packages in a dpkg status file.
std::map<std::string, std::string> installed_packages(std::string_view dpkg_status);

}  // namespace goldmill::guest
