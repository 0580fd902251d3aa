// SPDX-License-Identifier: GPL-3.0-or-later
// CloudNode: a value of a cloud-config document, read as cloud-init's own schema has it: with more
// than one form, where a recipe's keys have one.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>

#include "document.hpp"
#include "schema.hpp"

namespace goldmill::recipe {

struct CloudNode {
  const Document& document;
  const Node& node;
  std::string path;  ///< for messages: "write_files.path"

  CloudNode child(const Node& below, const std::string& key) const {
    return {document, below, path.empty() ? key : path + "." + key};
  }
  CloudNode item(const Node& below) const { return {document, below, path}; }
  Error error(const std::string& message, std::string hint = {}) const {
    return document.error(node, message, std::move(hint));
  }

  /// Errors of all: invalid_input at the node.
  Result<std::string> text() const;
  Result<std::string> text(const Shape& shape) const;
  /// Of a text that stands in the value.
  Result<void> check(const std::string& part, const Shape& shape) const;
  Result<bool> boolean() const;
  /// A list of texts; one text alone counts as a list, parted at `separator` if that is not 0.
  Result<std::vector<std::string>> texts(char separator = 0) const;
  Result<void> each(const std::function<Result<void>(const CloudNode& item)>& read) const;
  /// Of a map, in the order of the file; keys twice are refused.
  Result<void> each_key(const std::function<Result<void>(const std::string& key,
                                                         const CloudNode& value)>& read) const;
};

/// A key of a cloud-config map: how it is read, or why it is not.
template <typename Target>
struct CloudKey {
  std::string_view name;
  Result<void> (*read)(const CloudNode& value, Target& target);  ///< nullptr: refused
  const char* why = "";                                          ///< it is refused
  const char* hint = "";                                         ///< what to do instead
};

/// Reads a map by its table of keys. Errors: unknown keys with "did you mean"; refused ones.
template <typename Target, typename Table>
Result<void> read_by_table(const CloudNode& map, const Table& table, Target& target);

/// Of a key that no table has.
Error unknown_cloud_key(const CloudNode& map,
                        const std::string& key,
                        const std::vector<std::string>& known);

template <typename Target, typename Table>
Result<void> read_by_table(const CloudNode& map, const Table& table, Target& target) {
  return map.each_key([&](const std::string& key, const CloudNode& value) -> Result<void> {
    std::vector<std::string> known;
    for (const CloudKey<Target>& entry : table) {
      if (entry.name == key && entry.read != nullptr) {
        return entry.read(value, target);
      }
      if (entry.name == key) {
        return value.error("'" + value.path + "' is not applied to an image: " + entry.why,
                           entry.hint);
      }
      known.emplace_back(entry.name);
    }
    return unknown_cloud_key(value, key, known);
  });
}

/// `users:` and `groups:` -> what provision/ makes of them.
Result<void> read_cloud_users(const CloudNode& list, Json& config);
Result<void> read_cloud_groups(const CloudNode& groups, Json& config);
/// `ssh_authorized_keys:` of whomever: whole public key lines.
Result<Json> read_cloud_keys(const CloudNode& list);

}  // namespace goldmill::recipe
