// SPDX-License-Identifier: GPL-3.0-or-later
// Document: a recipe file as a tree of nodes with positions. The adapter of yaml-cpp: nothing
// else includes it. It reads events, not yaml-cpp's own nodes, since those merge duplicate keys
// and resolve aliases before anybody can refuse them.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::recipe {

inline constexpr Bytes kRecipeLimit = 1_MiB;
inline constexpr std::size_t kNestingLimit = 32;
inline constexpr std::size_t kNodeLimit = 100'000;

struct Node {
  enum class Kind : std::uint8_t { null, scalar, list, map };
  /// Quoted text is never a number or boolean; a substituted parameter may be anything.
  /// A binary one is base64, as written after !!binary.
  enum class Style : std::uint8_t { plain, quoted, substituted, binary };

  Kind kind = Kind::null;
  Style style = Style::plain;
  int line = 0;
  int column = 0;
  std::size_t source = 0;  ///< which of Document::files it stands in
  std::string text = {};
  std::vector<Node> keys = {};   ///< map: keys[i] names items[i]; duplicates are kept
  std::vector<Node> items = {};  ///< list, map

  /// The value of a map's key, or nullptr.
  const Node* find(std::string_view key) const;
  Node* find(std::string_view key);
};

struct Document {
  std::vector<std::string> files;  ///< the document's own, then those of parts brought in
  Node root;
  /// Of `files` those that do not move with the recipe: the site's, and by absolute path.
  std::set<std::size_t> fixed = {};

  const std::string& file_of(const Node& node) const { return files.at(node.source); }
  bool is_fixed(const Node& node) const { return fixed.contains(node.source); }
  Position position(const Node& node) const { return {file_of(node), node.line, node.column}; }
  /// invalid_input, its message starting with the node's "file:line:column: ".
  Error error(const Node& node, const std::string& message, std::string hint = {}) const;
};

Error error_at(const Position& position, const std::string& message, std::string hint = {});

/// Errors: invalid_input for control characters but newline and tab, and for broken UTF-8.
Result<void> check_characters(std::string_view text, const Position& position);

/// One YAML document. Errors: invalid_input for anything that YAML or our bounds forbid:
/// anchors, aliases, tags but the core ones, a second document, nesting, size, broken UTF-8.
Result<Document> parse_document(std::string_view text, const std::string& file);

}  // namespace goldmill::recipe
