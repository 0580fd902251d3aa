// SPDX-License-Identifier: GPL-3.0-or-later
// DebianFamily: what Debian and Ubuntu need to know to turn a recipe into steps.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
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
#include <goldmill/plan/package_door.hpp>
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
  std::filesystem::path kept = {};  ///< where packages are kept beside the lock; may be missing
  std::function<void(std::string_view line)> note = {};  ///< told to people
};

/// One recipe among its ancestors. `own` is as written, `merged` has everything that holds.
struct RecipeView {
  const recipe::Recipe& own;
  const recipe::Recipe& merged;
  const recipe::Recipe* parent = nullptr;  ///< the parent's merged recipe, for a variant
  /// Packages that the recipe's steps use from outside -> where it asks for them.
  std::map<std::string, std::string> step_tools = {};
};

/// What a lock file pins of a recipe's packages.
struct PinnedPackages {
  Resolution packages;
  Resolution tools;            ///< the boot loader's; empty for a variant
  Resolution step_tools = {};  ///< what the recipe's steps use from outside; in no image
  /// What steps discovered while they ran, by the step's name.
  std::map<std::string, std::vector<PackageFile>> step_packages = {};
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

  /// The recipe's repositories, each as a digest of its address, suites and components: another key
  /// makes none another.
  static Json archives(const RecipeView& view);

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

  /// The step that makes the tree of `step_tools`, which Step::tools name; nothing without any.
  std::optional<plan::Step> tools_step(const PinnedPackages& pinned) const;

  /// Brings what `pinned` names into the package cache: what is kept first, then the archive's.
  Result<void> fetch(const RecipeView& view,
                     const PinnedPackages& pinned,
                     const FetchProgress& progress) const;

  /// How a step's programs get packages.
  struct DoorInput {
    std::string step;               ///< its name
    std::filesystem::path scratch;  ///< a directory of its own
    bool only_locked = false;       ///< nothing but what an earlier run got
  };
  std::unique_ptr<plan::PackageDoor> door(const RecipeView& view,
                                          const PinnedPackages& pinned,
                                          const DoorInput& input) const;

  /// The kinds that run our steps. Package files come from `pinned`, fetched when missing.
  std::vector<std::unique_ptr<plan::StepKind>> kinds(const RecipeView& view,
                                                     const PinnedPackages& pinned) const;

 private:
  struct Fetching;
  DebianFamily(const DebianRelease& release, recipe::Os os, FamilySettings settings);

  Result<ResolveRequest> request_for(const RecipeView& view, const ParentPackages& parent) const;
  Result<std::vector<Source>> sources(const recipe::Recipe& own) const;
  Result<Resolution> resolve_step_tools(const RecipeView& view,
                                        ResolveRequest request,
                                        const FetchProgress& progress) const;
  Result<std::filesystem::path> indexes(const std::vector<Source>& sources,
                                        const std::string& proxy) const;
  std::vector<TreeFile> given_files(const GivenFiles& given) const;
  Fetching fetching(const RecipeView& view, const PinnedPackages& pinned) const;

  const DebianRelease* release_;
  recipe::Os os_;
  FamilySettings settings_;
};

/// The workers of this module, for main()'s table.
std::span<const system::WorkerEntry> workers();

/// Name -> version of the installed packages in a dpkg status file.
std::map<std::string, std::string> installed_packages(std::string_view dpkg_status);

}  // namespace goldmill::guest
