// SPDX-License-Identifier: GPL-3.0-or-later
// Text -> Recipe: the first arrow of the flow.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::recipe {

struct LoadOptions {
  /// --set KEY=VALUE; each KEY must be declared by the recipe, or by one of the lineage.
  std::map<std::string, std::string> set;
  /// Of an installer's answer file, which does not say it: "debian/12".
  std::string os = {};
  /// Settings whose parts every recipe has, see settings.hpp.
  std::vector<std::filesystem::path> settings = {};
};

/// Reads and validates one recipe, or the one that an installer's answer file stands for, see
/// kind_of_file(). Errors: not_found; invalid_input with file:line:column and, for a slip,
/// "did you mean". Bounded in size, nesting and aliases.
Result<Recipe> load(const std::filesystem::path& file, const LoadOptions& options = {});

/// The recipe and its ancestors, base first. `from: NAME` is looked for as NAME.yaml beside the
/// recipe; "" in `missing_parent` when all were found, else the name that has no recipe there
/// (it may still be an image in the store). Errors: as load(); a cycle, naming its members.
struct Lineage {
  std::vector<Recipe> recipes;
  std::string missing_parent;
};
Result<Lineage> load_lineage(const std::filesystem::path& file, const LoadOptions& options = {});

/// The recipes of a directory, by name: the YAML files that say `recipe:`. Other YAML (playbooks,
/// cloud-init's) stands beside them. Errors: not_found; those of reading.
Result<std::vector<std::filesystem::path>> find_recipes(const std::filesystem::path& directory);

/// What holds for the last recipe of a lineage (which is not empty): its os, baseline, hardware,
/// disk, repositories, apt sources, recommends, proxy and promises with the ancestors' merged in
/// (maps merge, lists replace; functional promises are inherited, budgets are not), defaults
/// filled in. Packages, provision and secrets are its own only. `is_base()` still tells them
/// apart: `from` stays.
Recipe merged(const std::vector<Recipe>& lineage);

/// A variant, with the enforced packages and steps when its parent was built without them or with
/// others. `parent` is merged.
Recipe with_enforced(Recipe own, const Recipe& parent);

/// The JSON Schema of a recipe, for editors; and the same as Markdown reference.
std::string json_schema();
std::string reference_markdown();

}  // namespace goldmill::recipe
