// SPDX-License-Identifier: GPL-3.0-or-later
#include "reader.hpp"

#include <charconv>

#include <goldmill/base/utf8.hpp>
#include <goldmill/system/file.hpp>

#include "schema.hpp"

namespace goldmill::recipe {

namespace fs = std::filesystem;

fs::path Source::resolve(const Node& node, const std::string& text) const {
  std::error_code failure;
  const fs::path file = fs::absolute(document.file_of(node), failure);
  const fs::path path = (file.parent_path() / text).lexically_normal();
  return path.has_filename() ? path : path.parent_path();  // "site/" is site
}

std::string Source::elsewhere(const Node& node, const Node& first) const {
  const Position position = document.position(first);
  return "; the first is " + (node.source == first.source ? "in line " + std::to_string(first.line)
                                                          : "at " + position.text());
}

Result<fs::path> Source::existing(const Node& node, const std::string& text) const {
  fs::path path = resolve(node, text);
  std::error_code failure;
  if (!fs::exists(path, failure)) {
    return document.error(node,
                          "there is no file " + as_quote(text),
                          "looked for " + path.string() +
                              ": make it, or write its path relative to the recipe's directory");
  }
  return path;
}

Result<fs::path> Source::plain_file(const Node& node, const std::string& text) const {
  fs::path path = TRY(existing(node, text));
  std::error_code failure;
  if (!fs::is_regular_file(path, failure)) {
    return document.error(node,
                          as_quote(text) + " is not a plain file",
                          "a file is needed here, not a directory or device");
  }
  return path;
}

void Source::note(const Node& node, const std::string& text, const Digest& digest) const {
  const fs::path path = resolve(node, text);
  recipe.files.emplace(path, digest);
  if (fs::path(text).is_absolute() || document.is_fixed(node)) {
    recipe.fixed_files.insert(path);
  }
}

Result<fs::path> Source::existing_file(const Node& node, const std::string& text) const {
  fs::path path = TRY(plain_file(node, text));
  if (const auto digest = system::digest_of(path)) {  // else whoever needs it says why
    note(node, text, *digest);
  }
  return path;
}

Result<std::string> Source::content_of(const Node& node, const std::string& text) const {
  const fs::path path = TRY(plain_file(node, text));
  auto content = system::read_file(path, kRecipeLimit);
  if (!content) {
    return document.error(node, "cannot read " + as_quote(text) + ": " + content.error().text());
  }
  if (content->find('\0') != std::string::npos || find_invalid_utf8(*content)) {
    return document.error(node, as_quote(text) + " is not UTF-8 text");
  }
  note(node, text, sha256(*content));
  return content;
}

void read_text(const Node& map, const char* key, std::string& target) {
  if (const Node* node = map.find(key)) {
    target = node->text;
  }
}

void read_text(const Node& map, const char* key, std::optional<std::string>& target) {
  if (const Node* node = map.find(key)) {
    target = node->text;
  }
}

void read_boolean(const Node& map, const char* key, bool& target) {
  if (const Node* node = map.find(key)) {
    target = node->text == "true";
  }
}

std::vector<std::string> texts_of(const Node& list) {
  std::vector<std::string> texts;
  for (const Node& item : list.items) {
    texts.push_back(item.text);
  }
  return texts;
}

Bytes size_of(const Node& node) {
  auto size = parse_bytes(node.text);
  GOLDMILL_ASSERT(size.has_value());
  return *size;
}

namespace {

Os read_os(const Node& root, const Node& node) {
  const std::size_t slash = node.text.find('/');
  Os os{node.text.substr(0, slash), node.text.substr(slash + 1)};
  read_text(root, "architecture", os.architecture);
  return os;
}

Result<std::vector<Hardware>> read_hardware(const Document& document, const Node& list) {
  if (list.items.empty()) {
    return document.error(list,
                          "'hardware' is empty: the image would start nowhere",
                          "leave it out for all, or name what it has to start on");
  }
  std::vector<Hardware> hardware;
  for (const Node& item : list.items) {
    for (const Hardware kind : kAllHardware) {
      if (item.text == name_of(kind)) {
        hardware.push_back(kind);
      }
    }
  }
  return hardware;
}

Promises read_promises(const Node& node) {
  Promises promises;
  if (const Node* size = node.find("disk_used")) {
    promises.disk_used = size_of(*size);
  }
  if (const Node* size = node.find("image_size")) {
    promises.image_size = size_of(*size);
  }
  if (const Node* seconds = node.find("boot_seconds")) {
    int number = 0;
    std::from_chars(seconds->text.data(), seconds->text.data() + seconds->text.size(), number);
    promises.boot_seconds = number;
  }
  if (const Node* list = node.find("commands")) {
    promises.commands = texts_of(*list);
  }
  if (const Node* list = node.find("services")) {
    promises.services = texts_of(*list);
  }
  if (const Node* list = node.find("ports")) {
    promises.ports = texts_of(*list);
  }
  return promises;
}

Result<void> read_origin(const Source& source, Recipe& recipe) {
  const Node& root = source.document.root;
  if (const Node* os = root.find("os")) {
    recipe.os = read_os(root, *os);
    recipe.origin = source.document.position(*os);
  } else if (const Node* from = root.find("from")) {
    recipe.from = from->text;
    recipe.origin = source.document.position(*from);
    if (const Node* architecture = root.find("architecture")) {
      return source.document.error(
          *architecture, "a variant has the architecture of its base", "remove 'architecture'");
    }
  }
  return {};
}

Result<void> read_package_sources(const Source& source, Recipe& recipe) {
  const Node& root = source.document.root;
  if (const Node* list = root.find("repositories")) {
    recipe.repositories = TRY(read_repositories(source, *list));
  }
  if (const Node* apt = root.find("apt")) {
    recipe.apt_sources = TRY(read_apt_sources(source, *apt));
  }
  if (const Node* recommends = root.find("recommends")) {
    recipe.recommends = recommends->text == "true";
  }
  if (const Node* list = root.find("packages")) {
    recipe.packages = TRY(read_packages(source, *list));
  }
  if (const Node* list = root.find("debconf")) {
    recipe.debconf = TRY(read_debconf(source, *list));
  }
  read_text(root, "proxy", recipe.proxy);
  return {};
}

}  // namespace

Result<Recipe> read_recipe(const Document& document) {
  const Node& root = document.root;
  Recipe recipe;
  const Source source{document, recipe};
  read_text(root, "recipe", recipe.name);
  TRY(read_origin(source, recipe));
  TRY(read_package_sources(source, recipe));
  if (const Node* list = root.find("hardware")) {
    recipe.hardware = TRY(read_hardware(source.document, *list));
  }
  if (const Node* list = root.find("clouds")) {
    recipe.clouds = texts_of(*list);
  }
  if (const Node* node = root.find("baseline")) {
    recipe.baseline = TRY(read_baseline(source, *node));
  }
  if (const Node* list = root.find("secrets")) {
    recipe.secrets = TRY(read_secrets(source, *list));
  }
  if (const Node* list = root.find("provision")) {
    recipe.provision = TRY(read_provision(source, *list, recipe.secrets));
  }
  if (const Node* node = root.find("disk")) {
    recipe.disk = TRY(read_disk(source, *node));
    recipe.disk_keys = {};
    for (const Node& key : node->keys) {
      recipe.disk_keys.push_back(key.text);
    }
  }
  if (const Node* node = root.find("promises")) {
    recipe.promises = read_promises(*node);
  }
  return recipe;
}

}  // namespace goldmill::recipe
