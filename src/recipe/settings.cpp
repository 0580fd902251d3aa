// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdlib>

#include <goldmill/recipe/settings.hpp>
#include <goldmill/system/file.hpp>

#include "schema.hpp"

namespace goldmill::recipe {

namespace fs = std::filesystem;

namespace {
fs::path user_configuration() {
  // NOLINTBEGIN(concurrency-mt-unsafe): nothing here changes the environment
  if (const char* given = std::getenv("XDG_CONFIG_HOME"); given != nullptr && *given == '/') {
    return given;
  }
  if (const char* user = std::getenv("HOME"); user != nullptr && *user == '/') {
    return fs::path(user) / ".config";
  }
  // NOLINTEND(concurrency-mt-unsafe)
  return {};
}
}  // namespace

std::vector<fs::path> settings_files() {
  std::vector<fs::path> files;
  for (const fs::path& directory : {fs::path("/etc"), user_configuration()}) {
    const fs::path file = directory / "goldmill/settings.yaml";
    std::error_code failure;
    if (!directory.empty() && fs::exists(file, failure)) {
      files.push_back(file);
    }
  }
  return files;
}

Result<std::map<std::string, std::string>> package_names(const std::vector<fs::path>& settings) {
  std::map<std::string, std::string> names;
  for (const fs::path& file : settings) {
    const Document document = TRY(read_settings(file));
    if (const Node* map = document.root.find("package_names")) {
      for (std::size_t i = 0; i < map->keys.size(); ++i) {
        names[map->keys[i].text] = map->items[i].text;
      }
    }
  }
  return names;
}

Result<Document> read_settings(const fs::path& file) {
  const std::string text = TRY(system::read_file(file, kRecipeLimit).context("settings"));
  Document document = TRY(parse_document(text, file.string()));
  if (document.root.kind != Node::Kind::null) {
    TRY(validate(document, document.root, settings_schema(), ""));
  }
  return document;
}

}  // namespace goldmill::recipe
