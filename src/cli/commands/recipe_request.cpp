// SPDX-License-Identifier: GPL-3.0-or-later
// What every command that takes a recipe has in common.
#include <filesystem>

#include <goldmill/factory/build_image.hpp>
#include <goldmill/recipe/load.hpp>

#include "commands.hpp"

namespace goldmill::cli {

std::filesystem::path recipe_file(const std::string& argument) {
  std::error_code ignored;
  if (!std::filesystem::exists(argument, ignored) &&
      std::filesystem::exists(argument + ".yaml", ignored)) {
    return argument + ".yaml";
  }
  return argument;
}

Argument recipe_argument() {
  return {"RECIPE",
          "the recipe's file, or NAME for NAME.yaml here",
          Argument::Count::one,
          Completes::files};
}

Option set_option() {
  return {.name = "set",
          .value = "KEY=VALUE",
          .doc = "Sets a parameter of the recipe.",
          .repeatable = true};
}

Option os_option() {
  return {.name = "os",
          .value = "OS",
          .doc = "The operating system of an answer file, which does not say it: debian/12."};
}

Result<factory::BuildRequest> build_request(const Parsed& parsed) {
  factory::BuildRequest request;
  for (const std::string& argument : parsed.arguments()) {
    request.recipes.push_back(recipe_file(argument));
  }
  request.set = TRY(parsed.pairs("set"));
  request.os = parsed.value("os").value_or("");
  return request;
}

Argument recipes_argument() {
  return {"RECIPE",
          "a recipe's file, or NAME for NAME.yaml here; with --all, a directory",
          Argument::Count::any,
          Completes::files};
}

Option all_option() {
  return {.name = "all", .doc = "Every recipe of the directory."};
}

Result<factory::BuildRequest> recipes_request(const Parsed& parsed) {
  factory::BuildRequest request = TRY(build_request(parsed));
  if (parsed.has("all")) {
    if (request.recipes.size() > 1) {
      return Error{ErrorKind::invalid_input, "--all takes one directory, or none for this one"};
    }
    const std::string directory = parsed.arguments().empty() ? "." : parsed.argument(0);
    request.recipes = TRY(recipe::find_recipes(directory));
    if (request.recipes.empty()) {
      return Error{ErrorKind::not_found,
                   "no file of '" + directory + "' is a recipe",
                   "a recipe is a .yaml file that begins with 'recipe: NAME'"};
    }
  }
  if (request.recipes.empty()) {
    return Error{ErrorKind::invalid_input,
                 "no recipe is named",
                 "name the recipes, or say --all for those of a directory"};
  }
  return request;
}

}  // namespace goldmill::cli
