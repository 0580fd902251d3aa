// SPDX-License-Identifier: GPL-3.0-or-later
#include "named_archives.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

#include <goldmill/recipe/load.hpp>
#include <goldmill/recipe/settings.hpp>
#include <goldmill/recipe/snapshot.hpp>

namespace goldmill::factory {

namespace fs = std::filesystem;

namespace {

bool is_same(const recipe::Repository& one, const recipe::Repository& other) {
  return recipe::without_user_info(one.uri) == recipe::without_user_info(other.uri) &&
         one.suites == other.suites && one.components == other.components;
}

void add_new(const recipe::Repository& repository, std::vector<recipe::Repository>& to) {
  if (std::none_of(
          to.begin(), to.end(), [&](const auto& known) { return is_same(known, repository); })) {
    to.push_back(repository);
  }
}

/// What the recipe's file and its ancestors name now, the site's settings included.
Result<std::vector<recipe::Repository>> repositories_in_file(const store::ImageRecord& image) {
  recipe::LoadOptions options{
      {}, find_string(image.details, "os").value_or(""), recipe::settings_files()};
  if (const Json* set = find_value(image.details, "set")) {
    options.set = set->get<std::map<std::string, std::string>>();
  }
  const fs::path file = find_string(image.details, "recipe_file").value_or("");
  std::vector<recipe::Repository> repositories;
  for (const recipe::Recipe& recipe : TRY(recipe::load_lineage(file, options)).recipes) {
    for (const recipe::Repository& repository : recipe.repositories) {
      add_new(repository, repositories);
    }
    for (const recipe::Repository& repository :
         recipe.site ? recipe.site->repositories : std::vector<recipe::Repository>()) {
      add_new(repository, repositories);
    }
  }
  return repositories;
}

/// The archive with its key. Errors: not_found; those of reading the recipe.
Result<recipe::Repository> with_key(const recipe::Repository& wanted,
                                    const Result<std::vector<recipe::Repository>>& in_file) {
  const std::vector<recipe::Repository> known = TRY(Result(in_file));
  const auto found = std::find_if(known.begin(), known.end(), [&](const auto& repository) {
    return is_same(repository, wanted);
  });
  return found == known.end() ? Result<recipe::Repository>(Error{
                                    ErrorKind::not_found, "its recipe does not name it any more"})
                              : *found;
}

}  // namespace

NamedArchives named_archives(const std::vector<store::ImageRecord>& line) {
  NamedArchives archives;
  for (const store::ImageRecord& image : line) {
    const Json* snapshot = find_value(image.details, "recipe");
    const auto wanted = recipe::repositories_in(snapshot == nullptr ? Json() : *snapshot);
    if (wanted.empty()) {
      continue;
    }
    const auto in_file = repositories_in_file(image);
    for (const recipe::Repository& repository : wanted) {
      const auto found = with_key(repository, in_file);
      if (found) {
        add_new(*found, archives.repositories);
      } else {
        archives.lost.push_back(repository.uri + " of " + image.reference() + ": " +
                                found.error().message);
      }
    }
  }
  return archives;
}

}  // namespace goldmill::factory
