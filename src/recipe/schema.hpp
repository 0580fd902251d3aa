// SPDX-License-Identifier: GPL-3.0-or-later
// Schema: what a recipe may say, as data. One table (keys.cpp) drives the validator, the JSON
// Schema and the reference; a key is added there and nowhere else.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>

#include "document.hpp"

namespace goldmill::recipe {

/// The form that a text must have.
struct Shape {
  std::string what;     ///< "a time zone"
  std::string pattern;  ///< ECMAScript, matched against the whole text
  std::string hint;
  std::vector<std::string> near = {};  ///< names for "did you mean", where there are known ones
};

enum class Type : std::uint8_t {
  text,
  boolean,
  integer,
  size,        ///< "4GiB"
  list,        ///< of `item`
  map,         ///< with `fields`
  dictionary,  ///< names of the author's choice to `item`
  step,        ///< a map with exactly one of `fields`
  anything,    ///< options that another module reads
};

struct Field;

struct Value {
  Type type = Type::text;
  const Shape* shape = nullptr;
  std::vector<std::string> allowed = {};  ///< text: one of these
  bool bare_numbers = false;              ///< text: 17 and 0644 count as written
  bool bare_words = false;                ///< text: true and no count as written
  bool secret = false;                    ///< text: never shown in an error
  long long least = 0;
  long long most = 0;
  std::shared_ptr<const Value> item = {};
  std::vector<Field> fields;
  /// map: exactly one of these keys must be there.
  std::vector<std::string> one_of = {};
  /// map: the key that a lone text stands for.
  std::string short_form = {};
};

struct Field {
  std::string key;
  Value value;
  std::string doc;
  std::string standard = {};  ///< the default, as the recipe would write it
  std::string example = {};   ///< YAML, as it follows "key: "
  bool required = false;
};

/// The whole recipe, a map.
const Value& recipe_schema();

/// A part of recipes: the recipe's keys but those that only a whole recipe can say.
const Value& part_schema();

/// A site's settings, and a file of them, valid; empty for an empty one.
const Value& settings_schema();
Result<Document> read_settings(const std::filesystem::path& file);

/// The `parameters:` entry alone: it is read before everything else.
const Field& parameters_field();

/// What stands below a map's key, or nullptr.
const Value* value_at(const Value& map, std::string_view key);

/// Checks a node and all below it. Errors: invalid_input with position and hint, the first in
/// the file's order. `path` is the dotted key, "" for the whole recipe.
Result<void> validate(const Document& document,
                      const Node& node,
                      const Value& value,
                      const std::string& path);

bool matches(const Shape& shape, const std::string& text);

/// Words for errors: 'text', cut and with control characters escaped.
std::string as_quote(std::string_view text);
/// The same of a path, of which the end says most.
std::string quoted_path(const std::filesystem::path& path);

/// The dotted key of a child.
std::string child_path(const std::string& path, const std::string& key);

}  // namespace goldmill::recipe
