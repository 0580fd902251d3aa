// SPDX-License-Identifier: GPL-3.0-or-later
// The recipe reference in Markdown, from the table of keys.
#include <goldmill/recipe/load.hpp>

#include "schema.hpp"

namespace goldmill::recipe {

namespace {

std::string in_cell(const std::string& text) {
  std::string cell;
  for (const char letter : text) {
    cell += letter == '|' ? std::string("\\|") : std::string(1, letter);
  }
  return cell;
}

std::string type_of(const Value& value) {
  switch (value.type) {
    case Type::text:
      break;
    case Type::boolean:
      return "`true` or `false`";
    case Type::integer:
      return "whole number, " + std::to_string(value.least) + " to " + std::to_string(value.most);
    case Type::size:
      return "size with unit";
    case Type::list:
      return "list of " + type_of(*value.item);
    case Type::dictionary:
      return "map of names to " + type_of(*value.item);
    case Type::map:
      return value.short_form.empty() ? "map" : "map, or its `" + value.short_form + "` alone";
    case Type::step:
      return "map with one key";
    case Type::anything:
      return "any value";
  }
  if (value.allowed.empty()) {
    return value.shape == nullptr ? "text" : value.shape->what;
  }
  std::string words;
  for (const std::string& word : value.allowed) {
    words += (words.empty() ? "`" : ", `") + word + "`";
  }
  return words;
}

const Value& innermost(const Value& value) {
  const Value* inner = &value;
  while (inner->item != nullptr) {
    inner = inner->item.get();
  }
  return *inner;
}

void add_section(std::string& page, const Value& value, const std::string& path) {
  page += "\n## " + (path.empty() ? std::string("The recipe") : "`" + path + "`") + "\n\n";
  if (!value.one_of.empty()) {
    page += "Exactly one of";
    for (const std::string& key : value.one_of) {
      page += (key == value.one_of.front() ? " `" : " and `") + key + "`";
    }
    page += " is needed.\n\n";
  }
  page += "| key | value | default | meaning | example |\n|---|---|---|---|---|\n";
  for (const Field& field : value.fields) {
    const std::string standard = field.required ? "required" : in_cell(field.standard);
    page += "| `" + field.key + "` | " + in_cell(type_of(field.value)) + " | " + standard + " | " +
            in_cell(field.doc) + " | " +
            (field.example.empty() ? "" : "`" + in_cell(field.example) + "`") + " |\n";
  }
  for (const Field& field : value.fields) {
    const Value& inner = innermost(field.value);
    if (!inner.fields.empty()) {
      add_section(
          page, inner, child_path(path, field.key) + (field.value.type == Type::list ? "[]" : ""));
    }
  }
}

}  // namespace

std::string reference_markdown() {
  std::string page =
      "# Recipe reference\n\n"
      "Generated from the table in `src/recipe/keys.cpp`; the same table makes the JSON Schema\n"
      "`recipe.schema.json` for editors. A recipe is one YAML document of at most 1 MiB. Paths\n"
      "are relative to the recipe's directory. Sizes have a unit: `4GiB`, `400MiB`, `512MB`.\n"
      "Anchors, aliases and tags are not allowed.\n";
  add_section(page, recipe_schema(), "");
  return page;
}

}  // namespace goldmill::recipe
