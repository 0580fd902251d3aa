// SPDX-License-Identifier: GPL-3.0-or-later
#include "cloud_node.hpp"

#include <set>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/base/utf8.hpp>

#include "schema.hpp"

namespace goldmill::recipe {

Result<std::string> CloudNode::text() const {
  if (node.kind != Node::Kind::scalar || node.style == Node::Style::binary) {
    return error("'" + path + "' must be text");
  }
  return node.text;
}

Result<std::string> CloudNode::text(const Shape& shape) const {
  std::string whole = TRY(text());
  TRY(check(whole, shape));
  return whole;
}

Result<void> CloudNode::check(const std::string& part, const Shape& shape) const {
  if (!matches(shape, part)) {
    return error(as_quote(part) + " is not " + shape.what, shape.hint);
  }
  return {};
}

Result<bool> CloudNode::boolean() const {
  if (node.kind == Node::Kind::scalar && node.style != Node::Style::quoted) {
    for (const auto& [word, value] : {std::pair{"true", true},
                                      {"false", false},
                                      {"True", true},
                                      {"False", false},
                                      {"yes", true},
                                      {"no", false}}) {
      if (node.text == word) {
        return value;
      }
    }
  }
  return error("'" + path + "' must be true or false");
}

Result<std::vector<std::string>> CloudNode::texts(char separator) const {
  std::vector<std::string> words;
  if (node.kind == Node::Kind::scalar) {
    const std::string whole = TRY(text());
    std::size_t at = 0;
    while (at <= whole.size()) {
      const std::size_t end =
          separator == 0 ? whole.size() : std::min(whole.find(separator, at), whole.size());
      const std::string word = whole.substr(at, end - at);
      const std::size_t first = word.find_first_not_of(' ');
      if (first != std::string::npos) {
        words.push_back(word.substr(first, word.find_last_not_of(' ') + 1 - first));
      }
      at = end + 1;
    }
    return words;
  }
  TRY(each([&words](const CloudNode& item) -> Result<void> {
    words.push_back(TRY(item.text()));
    return {};
  }));
  return words;
}

Result<void> CloudNode::each(const std::function<Result<void>(const CloudNode& item)>& read) const {
  if (node.kind != Node::Kind::list) {
    return error("'" + path + "' must be a list");
  }
  for (const Node& below : node.items) {
    TRY(read(item(below)));
  }
  return {};
}

Result<void> CloudNode::each_key(
    const std::function<Result<void>(const std::string& key, const CloudNode& value)>& read) const {
  if (node.kind != Node::Kind::map) {
    return error((path.empty() ? "a cloud-config" : "'" + path + "'") +
                 " must be a map (key: value)");
  }
  std::set<std::string> seen;
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const std::string& key = node.keys[i].text;
    if (!seen.insert(key).second) {
      return document.error(node.keys[i], "the key " + as_quote(key) + " is there twice");
    }
    // Messages about a key stand where the key does.
    CloudNode value = child(node.items[i], escape_controls(key.substr(0, 60)));
    TRY(read(key, value));
  }
  return {};
}

Error unknown_cloud_key(const CloudNode& map,
                        const std::string& key,
                        const std::vector<std::string>& known) {
  std::string hint;
  if (const std::string near = nearest(key, known); !near.empty()) {
    hint = "did you mean '" + near + "'?";
  } else {
    hint = "docs/cloud-config.md lists the keys that cloud-init knows";
  }
  return map.error("there is no key " + as_quote(map.path) + " in a cloud-config", hint);
}

}  // namespace goldmill::recipe
