// SPDX-License-Identifier: GPL-3.0-or-later
// What every command that takes a recipe has in common.
#include <filesystem>

#include <goldmill/factory/build_image.hpp>

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

Result<factory::BuildRequest> build_request(const Parsed& parsed) {
  factory::BuildRequest request;
  for (const std::string& argument : parsed.arguments()) {
    request.recipes.push_back(recipe_file(argument));
  }
  request.set = TRY(parsed.pairs("set"));
  return request;
}

}  // namespace goldmill::cli
