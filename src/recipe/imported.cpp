// SPDX-License-Identifier: GPL-3.0-or-later
#include "imported.hpp"

#include <map>

#include "schema.hpp"

namespace goldmill::recipe {

namespace {

using kickstart::Place;

class Builder {
 public:
  Builder(const kickstart::Places& places, const std::string& file)
      : places_(places), file_{file, 0} {}

  Result<Document> run(const Json& recipe) {
    source_of(file_.file);
    Node root = TRY(node(recipe, "", file_));
    return Document{std::move(files_), std::move(root)};
  }

 private:
  /// A map or list that no line says as a whole stands where the first of its values does.
  const Place& place_of(const std::string& path, const Place& above) const {
    const auto own = places_.find(path);
    if (own != places_.end()) {
      return own->second;
    }
    const auto below = places_.lower_bound(path + ".");
    const bool has_below = below != places_.end() && below->first.starts_with(path + ".");
    return above.line == 0 && has_below ? below->second : above;
  }

  std::size_t source_of(const std::string& file) {
    const auto [known, is_new] = sources_.try_emplace(file, files_.size());
    if (is_new) {
      files_.push_back(file);
    }
    return known->second;
  }

  Result<Node> node(const Json& value, const std::string& path, const Place& above) {
    const Place& place = place_of(path, above);
    Node node = TRY(empty_node(place));
    if (value.is_object()) {
      node.kind = Node::Kind::map;
      for (const auto& [key, item] : value.items()) {
        Node below = TRY(this->node(item, child_path(path, key), place));
        Node name;
        name.kind = Node::Kind::scalar;
        name.line = below.line;
        name.source = below.source;
        name.text = key;
        node.keys.push_back(std::move(name));
        node.items.push_back(std::move(below));
      }
    } else if (value.is_array()) {
      node.kind = Node::Kind::list;
      for (const Json& item : value) {
        const std::string below = kickstart::entry_path(path, node.items.size());
        Node entry = TRY(this->node(item, below, place));
        node.items.push_back(std::move(entry));
      }
    } else {
      TRY(fill(node, value, place));
    }
    return node;
  }

  Result<Node> empty_node(const Place& place) {
    if (++nodes_ > kNodeLimit) {
      return refused(
          place,
          "the recipe that it stands for has more than " + std::to_string(kNodeLimit) + " values");
    }
    Node node;
    node.line = place.line;
    node.source = source_of(place.file);
    return node;
  }

  Result<void> fill(Node& node, const Json& value, const Place& place) {
    node.kind = Node::Kind::scalar;
    node.style = value.is_string() ? Node::Style::quoted : Node::Style::plain;
    node.text = value.is_string() ? value.get<std::string>() : value.dump();
    bytes_ += node.text.size();
    if (bytes_ > kRecipeLimit.value) {
      return refused(place,
                     "the recipe that it stands for is larger than " + to_text(kRecipeLimit));
    }
    return check_characters(node.text, {place.file, place.line, 0});
  }

  static Error refused(const Place& place, const std::string& message) {
    return error_at({place.file, place.line, 0}, message, "take a part of the file away");
  }

  const kickstart::Places& places_;
  Place file_;
  std::vector<std::string> files_;
  std::map<std::string, std::size_t> sources_;
  std::size_t nodes_ = 0;
  std::uint64_t bytes_ = 0;
};
}  // namespace

Result<Document> document_of(const kickstart::Import& imported, const std::filesystem::path& file) {
  return Builder(imported.places, file.string()).run(imported.recipe);
}

}  // namespace goldmill::recipe
