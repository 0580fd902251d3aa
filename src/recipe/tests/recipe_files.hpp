// SPDX-License-Identifier: GPL-3.0-or-later
// RecipeFiles: a directory of recipes that a test writes and loads.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include <goldmill/recipe/load.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::recipe {

class RecipeFiles : public testing::Test {
 protected:
  std::filesystem::path at(std::string_view name) const { return scratch_.path() / name; }

  std::filesystem::path write(std::string_view name, std::string_view text) const {
    const std::filesystem::path path = at(name);
    EXPECT_TRUE(system::write_file(path, text));
    return path;
  }

  Result<Recipe> load_text(std::string_view text, const LoadOptions& options = {}) const {
    return load(write("r.yaml", text), options);
  }

  /// The error of a recipe, without the scratch directory's name.
  std::optional<Error> refusal_of(std::string_view text) const {
    auto result = load_text(text);
    if (result) {
      return std::nullopt;
    }
    Error error = std::move(result).error();
    const std::string prefix = scratch_.path().string() + "/";
    for (std::size_t at = 0; (at = error.message.find(prefix)) != std::string::npos;) {
      error.message.erase(at, prefix.size());
    }
    return error;
  }
  /// Its message; "" when there is none.
  std::string error_of(std::string_view text) const {
    const auto error = refusal_of(text);
    return error ? error->message : "";
  }

 private:
  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(std::filesystem::temp_directory_path(), "goldmill-recipe.")
          .value();
};

}  // namespace goldmill::recipe
