// SPDX-License-Identifier: GPL-3.0-or-later
// Parts: pieces of recipe in files of their own, and how they and the recipe become one document.
// Lists append, maps merge, and a thing that is said twice must be said alike.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/recipe/recipe.hpp>

#include "document.hpp"

namespace goldmill::recipe {

/// Puts one document together. All of its nodes name files of the same list.
class Assembly {
 public:
  /// What the site's settings enforce. Errors: invalid_input, in a settings file or a part.
  Result<void> read_settings(const std::vector<std::filesystem::path>& files);

  /// Brings in what `recipe` includes and what is enforced. The recipe's parameters are replaced
  /// and it is valid. Errors: invalid_input with both places of a contradiction.
  Result<Document> assemble(Document recipe);

  const std::vector<PartUse>& parts() const { return parts_; }
  /// What is enforced, as a document of its own.
  std::optional<Document> site() const;

 private:
  struct Entry;
  static std::vector<Entry> entries_of(const Document& document, const Node* list);
  Result<void> bring_in(const Document& document, const Node* list, Node& whole, bool enforced);
  Result<void> bring_in_part(const Entry& entry, Node& whole, bool enforced);
  Result<Document> read_part(const Entry& entry, PartUse& use);
  std::size_t add_file(const std::string& file, bool is_fixed);
  /// A document whose nodes are all of this assembly.
  Document with_files(Node root) const;

  std::vector<std::string> files_ = {""};  ///< the first is the recipe's own
  std::set<std::size_t> fixed_;            ///< as Document::fixed
  std::vector<PartUse> parts_;
  std::vector<std::filesystem::path> open_;  ///< parts that are being read
  std::set<std::string> done_;               ///< files with their parameters
  std::size_t bytes_ = 0;
  Node site_;
};

/// A part's or recipe's positions by dotted key, a list's one for each item. What no line of an
/// answer file said has none.
void add_origins(const Document& document,
                 const Node& node,
                 const std::string& path,
                 std::multimap<std::string, Position>& origins);

}  // namespace goldmill::recipe
