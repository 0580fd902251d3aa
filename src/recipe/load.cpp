// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <set>

#include <fcntl.h>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/suggestion.hpp>
#include <goldmill/recipe/load.hpp>
#include <goldmill/recipe/profile.hpp>
#include <goldmill/recipe/settings.hpp>
#include <goldmill/recipe/snapshot.hpp>
#include <goldmill/system/file.hpp>

#include "document.hpp"
#include "imported.hpp"
#include "parameters.hpp"
#include "parts.hpp"
#include "reader.hpp"
#include "schema.hpp"

namespace goldmill::recipe {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLineageLimit = 32;

struct Loaded {
  Recipe recipe;
  Position parameters;  ///< where "no such parameter" points to
};

Result<std::string> read_recipe_file(const fs::path& file) {
  std::error_code failure;
  const auto status = fs::status(file, failure);
  if (!fs::exists(status)) {
    return Error{ErrorKind::not_found,
                 "there is no recipe " + quoted_path(file),
                 "give the path of a recipe, such as examples/base.yaml"};
  }
  if (!fs::is_regular_file(status)) {
    return Error{ErrorKind::invalid_input,
                 quoted_path(file) + " is not a plain file",
                 "give the path of a recipe, such as examples/base.yaml"};
  }
  const system::UniqueFd opened = TRY(system::open_file(file, O_RDONLY | O_NONBLOCK));
  auto text = system::read_all(opened.get(), kRecipeLimit);
  if (!text && text.error().kind == ErrorKind::invalid_input) {
    return error_at({file.string(), 1, 1},
                    text.error().message,
                    "a recipe is smaller: put data into files and copy them with 'files:'");
  }
  return text;
}

/// By its text alone: what is wrong with a recipe is said when it is read.
bool says_recipe(std::string_view text) {
  return text.starts_with("recipe:") || text.find("\nrecipe:") != std::string_view::npos;
}

Result<void> check_kind(const Document& document) {
  const Node& root = document.root;
  if (root.kind == Node::Kind::null) {
    return error_at({document.files.front(), 1, 1},
                    "the recipe is empty",
                    "start with 'recipe: NAME' and 'os: debian/12'");
  }
  if (root.find("part") != nullptr && root.find("recipe") == nullptr) {
    return document.error(root,
                          "this is a part of recipes, not a recipe",
                          "name it in a recipe: 'include: [" + document.files.front() + "]'");
  }
  return {};
}

std::string file_or_name(const PackageRequest& request) {
  return request.name.empty() ? request.file.string() : request.name;
}

/// Of a base the lists are one, and read_packages() has looked at it.
Result<void> check_packages(const Recipe& recipe) {
  for (const PackageRequest& enforced : recipe.site->packages) {
    for (const PackageRequest& own : recipe.packages) {
      if (file_or_name(own) == file_or_name(enforced) &&
          (own.kind != enforced.kind || own.version != enforced.version)) {
        return error_at(own.position,
                        "the package " + as_quote(file_or_name(own)) +
                            " is asked for otherwise than at " + enforced.position.text(),
                        "remove it here: the site's settings enforce that part");
      }
    }
  }
  return {};
}

/// With what it includes, and what is enforced.
Result<Recipe> assembled(Document document, const std::vector<fs::path>& settings) {
  Assembly assembly;
  TRY(assembly.read_settings(settings));
  const Document whole = TRY(assembly.assemble(std::move(document)));
  Recipe recipe = TRY(read_recipe(whole));
  recipe.parts = assembly.parts();
  add_origins(whole, whole.root, "", recipe.origins);
  if (const auto site = assembly.site()) {
    recipe.site = std::make_shared<const Recipe>(TRY(read_recipe(*site)));
    recipe.site_digest = sha256(to_snapshot(*recipe.site).dump()).text();
    TRY(check_packages(recipe));
  }
  return recipe;
}

/// A recipe's text, or what an answer file stands for.
Result<Document> read_document(const fs::path& file, const LoadOptions& options) {
  if (kind_of_file(file) == AnswerFile::none) {
    return parse_document(TRY(read_recipe_file(file)), file.string());
  }
  const auto names = TRY(package_names(options.settings));
  return document_of(TRY(import_answer_file(file, options.os, names)), file);
}

Result<Loaded> load_one(const fs::path& file,
                        const LoadOptions& options,
                        std::set<std::string>& used) {
  Document document = TRY(read_document(file, options));
  TRY(check_kind(document));
  const auto parameters = TRY(read_parameters(document, options.set, used));
  TRY(substitute(document, parameters));
  TRY(validate(document, document.root, recipe_schema(), ""));
  Loaded loaded;
  const Node* declared = document.root.find(parameters_field().key);
  loaded.parameters = document.position(declared == nullptr ? document.root : *declared);
  loaded.recipe = TRY(assembled(std::move(document), options.settings));
  std::error_code failure;
  loaded.recipe.file = fs::absolute(file, failure).lexically_normal();
  loaded.recipe.parameters = parameters;
  return loaded;
}

Result<void> check_all_used(const LoadOptions& options,
                            const std::set<std::string>& used,
                            const std::vector<std::string>& declared,
                            const Position& position) {
  for (const auto& [name, value] : options.set) {
    if (!used.contains(name)) {
      return error_at(
          position,
          "there is no parameter " + as_quote(name) + ", which --set gives",
          declared.empty() ? "declare it under 'parameters:'" : did_you_mean(name, declared));
    }
  }
  return {};
}

void add_names(const Recipe& recipe, std::vector<std::string>& names) {
  for (const auto& [name, value] : recipe.parameters) {
    names.push_back(name);
  }
}

std::string parent_name(const std::string& from) {
  return from.substr(0, from.find_first_of("@:"));
}

Error cycle_error(const std::vector<Recipe>& recipes, const Recipe& again) {
  std::string members;
  for (const Recipe& recipe : recipes) {
    members += recipe.name + " -> ";
  }
  return error_at(recipes.back().origin,
                  "'from:' goes round in a circle: " + members + again.name,
                  "one of them must be a base, with 'os:'");
}

}  // namespace

Result<std::vector<fs::path>> find_recipes(const fs::path& directory) {
  std::error_code failure;
  std::vector<fs::path> recipes;
  for (fs::directory_iterator entry(directory, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const fs::path file = entry->path().lexically_normal();
    if (file.extension() == ".yaml" && says_recipe(TRY(read_recipe_file(file)))) {
      recipes.push_back(file);
    }
  }
  if (failure) {
    return system_error("cannot read the directory " + quoted_path(directory), failure.value());
  }
  std::sort(recipes.begin(), recipes.end());
  return recipes;
}

Result<Recipe> load(const fs::path& file, const LoadOptions& options) {
  std::set<std::string> used;
  Loaded loaded = TRY(load_one(file, options, used));
  std::vector<std::string> declared;
  add_names(loaded.recipe, declared);
  TRY(check_all_used(options, used, declared, loaded.parameters));
  return std::move(loaded.recipe);
}

Result<Lineage> load_lineage(const fs::path& file, const LoadOptions& options) {
  Lineage lineage;
  std::set<std::string> used;
  std::set<fs::path> seen;
  std::vector<std::string> declared;
  Position parameters;
  fs::path next = file;
  while (true) {
    Loaded loaded = TRY(load_one(next, options, used));
    Recipe& recipe = loaded.recipe;
    if (lineage.recipes.empty()) {
      parameters = loaded.parameters;
    } else if (recipe.name != parent_name(lineage.recipes.back().from)) {
      return error_at(lineage.recipes.back().origin,
                      next.string() + " says that it is 'recipe: " + recipe.name + "'",
                      "a recipe NAME that others build on stands in NAME.yaml");
    }
    std::error_code failure;
    if (!seen.insert(fs::weakly_canonical(recipe.file, failure)).second) {
      return cycle_error(lineage.recipes, recipe);
    }
    add_names(recipe, declared);
    lineage.recipes.push_back(std::move(recipe));
    const Recipe& last = lineage.recipes.back();
    if (last.is_base()) {
      break;
    }
    if (lineage.recipes.size() >= kLineageLimit) {
      return error_at(
          last.origin,
          "more than " + std::to_string(kLineageLimit) + " recipes build on each other");
    }
    next = next.parent_path() / (parent_name(last.from) + ".yaml");
    if (!fs::exists(next, failure)) {
      lineage.missing_parent = parent_name(last.from);
      break;
    }
  }
  TRY(check_all_used(options, used, declared, parameters));
  std::reverse(lineage.recipes.begin(), lineage.recipes.end());
  return lineage;
}

}  // namespace goldmill::recipe
