// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <mutex>
#include <regex>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/base/utf8.hpp>

#include "schema.hpp"

namespace goldmill::recipe {

namespace {

/// Longer text than any shape allows; keeps the matcher's work small.
constexpr std::size_t kShapedTextLimit = 16'384;

/// Words that readers of YAML 1.1 take for booleans.
bool is_boolean_word(const std::string& text) {
  static constexpr std::array<std::string_view, 8> kWords = {
      "true", "false", "yes", "no", "on", "off", "y", "n"};
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char letter) {
    return static_cast<char>(std::tolower(letter));
  });
  return std::find(kWords.begin(), kWords.end(), lower) != kWords.end();
}

bool is_number(const std::string& text) {
  static const std::regex kPattern(
      "[-+]?(0x[0-9a-fA-F]{1,32}|0o[0-7]{1,32}|[0-9]{1,64}(\\.[0-9]{0,64})?([eE][-+]?[0-9]{1,9})?"
      "|\\.inf|\\.nan|\\.[0-9]{1,64})",
      std::regex::ECMAScript | std::regex_constants::__polynomial);
  return text.size() < 200 && std::regex_match(text, kPattern);
}

const char* name_of_type(const Value& value) {
  switch (value.type) {
    case Type::text:
      return "text";
    case Type::boolean:
      return "true or false";
    case Type::integer:
      return "a whole number";
    case Type::size:
      return "a size such as 4GiB";
    case Type::list:
      return "a list";
    case Type::map:
    case Type::dictionary:
      return "a map (key: value)";
    case Type::step:
      return "a map with one key that names the kind of step";
    case Type::anything:
      return "a value";
  }
  return "a value";
}

const char* name_of_kind(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "a map";
    case Node::Kind::scalar:
      break;
  }
  if (node.style == Node::Style::quoted) {
    return "quoted text";
  }
  if (is_boolean_word(node.text)) {
    return "true or false";
  }
  return is_number(node.text) ? "a number" : "text";
}

std::string subject(const std::string& path) {
  return path.empty() ? "the recipe" : "'" + path + "'";
}

Error wrong_type(const Document& document,
                 const Node& node,
                 const Value& value,
                 const std::string& path) {
  std::string hint;
  if (node.kind == Node::Kind::null) {
    hint = "give it a value or remove the line";
  } else if (value.type == Type::list && node.kind == Node::Kind::scalar) {
    hint = "write it in brackets: [" + (value.item->secret ? "..." : node.text.substr(0, 60)) + "]";
  }
  return document.error(
      node,
      subject(path) + " must be " + name_of_type(value) + ", not " + name_of_kind(node),
      hint);
}

const std::regex& compiled(const Shape& shape) {
  static std::mutex mutex;
  static std::map<const Shape*, std::regex> patterns;
  const std::lock_guard lock(mutex);
  auto found = patterns.find(&shape);
  if (found == patterns.end()) {
    // The polynomial matcher needs no stack that grows with the text.
    found = patterns
                .emplace(&shape,
                         std::regex(shape.pattern,
                                    std::regex::ECMAScript | std::regex_constants::__polynomial))
                .first;
  }
  return found->second;
}

Result<void> check_text_style(const Document& document,
                              const Node& node,
                              const Value& value,
                              const std::string& path) {
  if (node.style != Node::Style::plain) {
    return {};
  }
  const Shape* const shape = value.shape;
  const std::string in_quotes = shape == nullptr || std::regex_match(node.text, compiled(*shape))
                                    ? "write it in quotes: \"" + node.text.substr(0, 60) + "\""
                                    : shape->hint;
  if (!value.bare_words && is_boolean_word(node.text)) {
    return document.error(node,
                          subject(path) + " is " + as_quote(node.text) +
                              ", which many YAML readers take for a "
                              "boolean",
                          in_quotes);
  }
  if (!value.bare_numbers && is_number(node.text)) {
    return document.error(
        node, subject(path) + " must be text, not the number " + node.text, in_quotes);
  }
  return {};
}

Result<void> check_text(const Document& document,
                        const Node& node,
                        const Value& value,
                        const std::string& path) {
  if (!value.secret) {
    TRY(check_text_style(document, node, value, path));
  }
  if (!value.allowed.empty()) {
    if (std::find(value.allowed.begin(), value.allowed.end(), node.text) == value.allowed.end()) {
      return document.error(node,
                            subject(path) + " does not know " + as_quote(node.text),
                            did_you_mean(node.text, value.allowed));
    }
    return {};
  }
  if (value.shape == nullptr || matches(*value.shape, node.text)) {
    return {};
  }
  if (value.secret) {  // it may be a password: it must not reach a log
    return document.error(
        node,
        subject(path) + " is not " + value.shape->what + "; a plain-text password is refused",
        value.shape->hint);
  }
  std::string hint = value.shape->hint;
  if (const std::string near = nearest(node.text, value.shape->near); !near.empty()) {
    hint = "did you mean '" + near + "'? " + hint;
  }
  return document.error(
      node, subject(path) + ": " + as_quote(node.text) + " is not " + value.shape->what, hint);
}

Result<void> check_boolean(const Document& document, const Node& node, const std::string& path) {
  if (node.style != Node::Style::quoted && (node.text == "true" || node.text == "false")) {
    return {};
  }
  std::string hint = "write true or false";
  if (is_boolean_word(node.text) && node.text.size() >= 2) {
    const bool means_true = node.text.find_first_of("yYtT") == 0 || node.text.ends_with('n') ||
                            node.text.ends_with('N');
    hint = std::string("write ") + (means_true ? "true" : "false");
  }
  return document.error(
      node, subject(path) + " must be true or false, not " + as_quote(node.text), hint);
}

Result<void> check_integer(const Document& document,
                           const Node& node,
                           const Value& value,
                           const std::string& path) {
  long long number = 0;
  const char* end = node.text.data() + node.text.size();
  const auto [stop, failure] = std::from_chars(node.text.data(), end, number);
  if (node.style == Node::Style::quoted || failure != std::errc{} || stop != end) {
    return document.error(node,
                          subject(path) + " must be a whole number, not " + as_quote(node.text));
  }
  if (number < value.least || number > value.most) {
    return document.error(node,
                          subject(path) + " is " + node.text + ", not between " +
                              std::to_string(value.least) + " and " + std::to_string(value.most));
  }
  return {};
}

Result<void> check_size(const Document& document, const Node& node, const std::string& path) {
  const auto size = parse_bytes(node.text);
  if (!size) {
    const std::string reason = is_number(node.text) ? " has no unit" : " is not a size";
    return document.error(node,
                          subject(path) + ": " + as_quote(node.text) + reason,
                          "write a number and a unit: 4GiB, 400MiB, 512MB");
  }
  if (*size == Bytes{0}) {
    return document.error(node, subject(path) + " must not be zero");
  }
  return {};
}

Result<void> check_duplicates(const Document& document, const Node& node, const std::string& path) {
  std::map<std::string_view, const Node*> seen;
  for (const Node& key : node.keys) {
    const auto [first, is_new] = seen.emplace(key.text, &key);
    if (!is_new) {
      return document.error(
          key,
          "'" + child_path(path, escape_controls(key.text.substr(0, 60))) + "' is there twice",
          "the first one is in line " + std::to_string(first->second->line) + ": keep one of them");
    }
  }
  return {};
}

std::vector<std::string> keys_of(const Value& value) {
  std::vector<std::string> keys;
  for (const Field& field : value.fields) {
    keys.push_back(field.key);
  }
  return keys;
}

Result<void> check_entry(const Document& document,
                         const Node& key,
                         const Node& item,
                         const Value& value,
                         const std::string& path) {
  for (const Field& field : value.fields) {
    if (field.key != key.text) {
      continue;
    }
    return validate(document, item, field.value, child_path(path, field.key));
  }
  return document.error(
      key,
      "unknown key " + as_quote(key.text) + (path.empty() ? "" : " in '" + path + "'"),
      did_you_mean(key.text, keys_of(value)));
}

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : between) + "'" + word + "'";
  }
  return text;
}

Result<void> check_presence(const Document& document,
                            const Node& node,
                            const Value& value,
                            const std::string& path) {
  for (const Field& field : value.fields) {
    if (field.required && node.find(field.key) == nullptr) {
      return document.error(
          node,
          subject(path) + " has no '" + field.key + "'",
          "add '" + field.key + ": " + (field.example.empty() ? "..." : field.example) + "'");
    }
  }
  if (value.one_of.empty()) {
    return {};
  }
  std::vector<const Node*> found;
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    if (std::find(value.one_of.begin(), value.one_of.end(), node.keys[i].text) !=
        value.one_of.end()) {
      found.push_back(&node.keys[i]);
    }
  }
  if (found.empty()) {
    return document.error(node,
                          subject(path) + " has neither " + joined(value.one_of, " nor "),
                          "exactly one of them is needed");
  }
  if (found.size() > 1) {
    return document.error(*found[1],
                          subject(path) + " has more than one of " + joined(value.one_of, " and "),
                          "exactly one of them is needed");
  }
  return {};
}

Result<void> check_map(const Document& document,
                       const Node& node,
                       const Value& value,
                       const std::string& path) {
  TRY(check_duplicates(document, node, path));
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    TRY(check_entry(document, node.keys[i], node.items[i], value, path));
  }
  if (value.type == Type::step && node.keys.size() != 1) {
    return document.error(
        node,
        "a step of " + subject(path) + " has " + std::to_string(node.keys.size()) + " keys",
        "write one kind per list entry: - shell: {...}");
  }
  return check_presence(document, node, value, path);
}

Result<void> check_dictionary(const Document& document,
                              const Node& node,
                              const Value& value,
                              const std::string& path) {
  TRY(check_duplicates(document, node, path));
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const Node& key = node.keys[i];
    if (value.shape != nullptr && !matches(*value.shape, key.text)) {
      return document.error(
          key, as_quote(key.text) + " is not " + value.shape->what, value.shape->hint);
    }
    TRY(validate(document,
                 node.items[i],
                 *value.item,
                 child_path(path, escape_controls(key.text.substr(0, 60)))));
  }
  return {};
}

constexpr const char* kNoBinary = "!!binary is not allowed here";
constexpr const char* kNoBinaryHint =
    "only the contents of cloud_config's 'write_files' may be binary: copy a file with 'files:'";

/// Duplicates are refused also where another module gives the keys their meaning.
Result<void> check_anything(const Document& document, const Node& node, const std::string& path) {
  if (node.style == Node::Style::binary && !path.ends_with("cloud_config")) {
    return document.error(node, kNoBinary, kNoBinaryHint);
  }
  TRY(check_duplicates(document, node, path));
  for (const Node& item : node.items) {
    TRY(check_anything(document, item, path));
  }
  return {};
}

Node::Kind kind_for(Type type) {
  switch (type) {
    case Type::list:
      return Node::Kind::list;
    case Type::map:
    case Type::dictionary:
    case Type::step:
      return Node::Kind::map;
    default:
      return Node::Kind::scalar;
  }
}

}  // namespace

bool matches(const Shape& shape, const std::string& text) {
  return text.size() <= kShapedTextLimit && std::regex_match(text, compiled(shape));
}

std::string as_quote(std::string_view text) {
  constexpr std::size_t kShown = 60;
  std::string shown = escape_controls(text.substr(0, kShown));
  if (text.size() > kShown) {
    shown += "...";
  }
  return "'" + shown + "'";
}

std::string quoted_path(const std::filesystem::path& path) {
  constexpr std::size_t kShown = 200;
  const std::string& text = path.native();
  const std::size_t cut = text.size() - std::min(text.size(), kShown);
  return (cut > 0 ? "'..." : "'") + escape_controls(std::string_view(text).substr(cut)) + "'";
}

std::string child_path(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

Result<void> validate(const Document& document,
                      const Node& node,
                      const Value& value,
                      const std::string& path) {
  if (value.type == Type::anything) {
    return check_anything(document, node, path);
  }
  if (node.style == Node::Style::binary) {
    return document.error(node, kNoBinary, kNoBinaryHint);
  }
  if (node.kind == Node::Kind::scalar && !value.short_form.empty()) {
    return validate(document, node, *value_at(value, value.short_form), path);
  }
  if (node.kind != kind_for(value.type)) {
    return wrong_type(document, node, value, path);
  }
  switch (value.type) {
    case Type::text:
      return check_text(document, node, value, path);
    case Type::boolean:
      return check_boolean(document, node, path);
    case Type::integer:
      return check_integer(document, node, value, path);
    case Type::size:
      return check_size(document, node, path);
    case Type::list:
      for (const Node& item : node.items) {
        TRY(validate(document, item, *value.item, path));
      }
      return {};
    case Type::dictionary:
      return check_dictionary(document, node, value, path);
    default:
      return check_map(document, node, value, path);
  }
}

}  // namespace goldmill::recipe
