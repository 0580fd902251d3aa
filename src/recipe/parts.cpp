// SPDX-License-Identifier: GPL-3.0-or-later
#include "parts.hpp"

#include <algorithm>
#include <array>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/system/file.hpp>

#include "parameters.hpp"
#include "schema.hpp"

namespace goldmill::recipe {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kDepthLimit = 8;
constexpr std::size_t kPartLimit = 64;
constexpr Bytes kTextLimit = 4_MiB;

/// What only a base runs or holds of an enforced part: a variant stands on an image that has it.
constexpr std::array<std::string_view, 5> kOnceOnly = {
    "packages", "debconf", "provision", "secrets", "repositories"};

bool is_once_only(std::string_view key) {
  return std::find(kOnceOnly.begin(), kOnceOnly.end(), key) != kOnceOnly.end();
}

void stamp(Node& node, std::size_t source) {
  node.source = source;
  for (Node& key : node.keys) {
    key.source = source;
  }
  for (Node& item : node.items) {
    stamp(item, source);
  }
}

/// For a document whose files but the first come behind those that are known.
void shift(Node& node, std::size_t by) {
  node.source += node.source == 0 ? 0 : by;
  for (std::vector<Node>* nodes : {&node.keys, &node.items}) {
    for (Node& below : *nodes) {
      shift(below, by);
    }
  }
}

bool same_value(const Node& one, const Node& other) {
  return one.kind == other.kind && one.text == other.text &&
         std::equal(
             one.keys.begin(), one.keys.end(), other.keys.begin(), other.keys.end(), same_value) &&
         std::equal(one.items.begin(),
                    one.items.end(),
                    other.items.begin(),
                    other.items.end(),
                    same_value);
}

/// Adds what one document says to what others said before.
class Merger {
 public:
  /// Of a variant a list replaces its parent's, so that lists that it has not must stay away.
  enum class Lists : std::uint8_t { all, only_known };
  Merger(const Document& document, Lists lists) : document_(document), lists_(lists) {}

  Result<void> merge(Node& whole, const Node& more, const Value& value, const std::string& path) {
    for (std::size_t i = 0; i < more.keys.size(); ++i) {
      const std::string& key = more.keys[i].text;
      if (path.empty() && is_skipped(key)) {
        continue;
      }
      const Value* below = value.type == Type::dictionary ? value.item.get() : value_at(value, key);
      GOLDMILL_ASSERT(below != nullptr);
      if (Node* known = whole.find(key)) {
        TRY(join(*known, more.items[i], *below, child_path(path, key)));
      } else {
        add(whole, more.keys[i], more.items[i], *below);
      }
    }
    return {};
  }

 private:
  bool is_skipped(std::string_view key) const {
    return key == "part" || key == "include" || key == "parameters" ||
           (lists_ == Lists::only_known && is_once_only(key));
  }

  void add(Node& whole, const Node& key, const Node& item, const Value& value) const {
    Node added = item;
    if (lists_ == Lists::only_known && value.type == Type::list) {
      return;
    }
    if (lists_ == Lists::only_known && value.type == Type::map) {
      added.keys.clear();
      added.items.clear();
      for (std::size_t i = 0; i < item.keys.size(); ++i) {
        add(added, item.keys[i], item.items[i], *value_at(value, item.keys[i].text));
      }
      if (added.keys.empty()) {
        return;
      }
    }
    whole.keys.push_back(key);
    whole.items.push_back(std::move(added));
  }

  Result<void> join(Node& known, const Node& more, const Value& value, const std::string& path) {
    if (value.type == Type::map || value.type == Type::dictionary) {
      return merge(known, more, value, path);
    }
    if (value.type == Type::list) {
      append(known, more);
      return {};
    }
    if (same_value(known, more)) {
      return {};
    }
    const auto quoted = [&value](const Node& node) {
      return value.secret ? "one value" : as_quote(node.text);
    };
    const std::string other = value.secret ? "another" : as_quote(known.text);
    return document_.error(more,
                           "'" + path + "' is " + quoted(more) + " here and " + other + " at " +
                               document_.position(known).text(),
                           "keep one of them, or make it a parameter of the part");
  }

  /// A word that another file said is not said again; what one file says twice stays, to be
  /// refused.
  static void append(Node& known, const Node& more) {
    const std::size_t before = known.items.size();
    for (const Node& item : more.items) {
      const auto end = known.items.begin() + static_cast<std::ptrdiff_t>(before);
      const bool is_known = item.kind == Node::Kind::scalar &&
                            std::any_of(known.items.begin(), end, [&item](const Node& other) {
                              return other.source != item.source && same_value(other, item);
                            });
      if (!is_known) {
        known.items.push_back(item);
      }
    }
  }

  const Document& document_;
  Lists lists_;
};

}  // namespace

/// An entry of `include:` or `enforce:`.
struct Assembly::Entry {
  Node node;  ///< of this assembly
  fs::path file;
  std::map<std::string, std::string> set;
  bool is_fixed = false;  ///< as Document::fixed
};

Document Assembly::with_files(Node root) const {
  return Document{files_, std::move(root), fixed_};
}

std::size_t Assembly::add_file(const std::string& file, bool is_fixed) {
  files_.push_back(file);
  const std::size_t index = files_.size() - 1;
  if (is_fixed) {
    fixed_.insert(index);
  }
  return index;
}

std::vector<Assembly::Entry> Assembly::entries_of(const Document& document, const Node* list) {
  std::vector<Entry> entries;
  for (const Node& item : list == nullptr ? std::vector<Node>() : list->items) {
    Entry entry{item, {}, {}};
    const Node& part = item.kind == Node::Kind::scalar ? item : *item.find("part");
    const fs::path directory = fs::path(document.file_of(item)).parent_path();
    entry.file = (directory / part.text).lexically_normal();
    entry.is_fixed = fs::path(part.text).is_absolute() || document.is_fixed(item);
    if (const Node* set = item.find("set")) {
      for (std::size_t i = 0; i < set->keys.size(); ++i) {
        entry.set[set->keys[i].text] = set->items[i].text;
      }
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<Document> Assembly::read_part(const Entry& entry, PartUse& use) {
  const Document here = with_files({});
  const std::string shown = entry.file.string();
  auto text = system::read_plain_file(entry.file, kRecipeLimit);
  if (!text) {
    return here.error(entry.node,
                      text.error().kind == ErrorKind::not_found
                          ? "there is no part " + as_quote(shown)
                          : "cannot read the part: " + text.error().text(),
                      "a part's path is relative to the directory of the file that names it");
  }
  bytes_ += text->size();
  if (bytes_ > kTextLimit.value) {
    return here.error(entry.node, "the parts are larger than " + to_text(kTextLimit) + " together");
  }
  Document part = TRY(parse_document(*text, shown));
  if (part.root.find("part") == nullptr) {
    const bool is_recipe = part.root.find("recipe") != nullptr;
    return here.error(entry.node,
                      as_quote(shown) + (is_recipe ? " is a recipe, not a part of one"
                                                   : " does not say 'part: NAME'"),
                      is_recipe
                          ? "'from:' builds on another recipe; what recipes share goes into a "
                            "file that begins with 'part: NAME'"
                          : "a part begins with 'part: NAME' and goes on as a recipe does");
  }
  std::set<std::string> used;
  use.parameters = TRY(read_parameters(part, entry.set, used));
  for (const auto& [name, value] : entry.set) {
    if (!used.contains(name)) {
      std::vector<std::string> known;
      for (const auto& [other, unused] : use.parameters) {
        known.push_back(other);
      }
      return here.error(
          entry.node,
          as_quote(shown) + " has no parameter " + as_quote(name),
          known.empty() ? "declare it there under 'parameters:'" : did_you_mean(name, known));
    }
  }
  TRY(substitute(part, use.parameters));
  TRY(validate(part, part.root, part_schema(), ""));
  use.name = part.root.find("part")->text;
  use.file = shown;
  return part;
}

Result<void> Assembly::bring_in_part(const Entry& entry, Node& whole, bool enforced) {
  const Document here = with_files({});
  std::error_code failure;
  const fs::path real = fs::weakly_canonical(entry.file, failure);
  const auto again = std::find(open_.begin(), open_.end(), real);
  if (again != open_.end()) {
    std::string members;
    for (auto member = again; member != open_.end(); ++member) {
      members += member->filename().string() + " -> ";
    }
    return here.error(entry.node,
                      "'include:' goes round in a circle: " + members + real.filename().string(),
                      "one of them must not include the next");
  }
  if (open_.size() >= kDepthLimit || parts_.size() >= kPartLimit) {
    return here.error(entry.node,
                      open_.size() >= kDepthLimit
                          ? "parts include each other deeper than " + std::to_string(kDepthLimit)
                          : "more than " + std::to_string(kPartLimit) + " parts");
  }
  PartUse use{.included = here.position(entry.node), .enforced = enforced};
  Document part = TRY(read_part(entry, use));
  std::string identity = real.string();
  for (const auto& [name, value] : use.parameters) {
    identity += std::string(1, '\0') + name + std::string(1, '\0') + value;
  }
  if (!done_.insert(identity).second) {
    return {};  // two parts need it
  }
  stamp(part.root, add_file(use.file, entry.is_fixed));
  parts_.push_back(std::move(use));
  open_.push_back(real);
  const Document known = with_files(std::move(part.root));
  TRY(bring_in(known, known.root.find("include"), whole, enforced));
  open_.pop_back();
  const Document all = with_files({});
  return Merger(all, Merger::Lists::all).merge(whole, known.root, part_schema(), "");
}

Result<void> Assembly::bring_in(const Document& document,
                                const Node* list,
                                Node& whole,
                                bool enforced) {
  for (const Entry& entry : entries_of(document, list)) {
    TRY(bring_in_part(entry, whole, enforced));
  }
  return {};
}

Result<void> Assembly::read_settings(const std::vector<fs::path>& files) {
  site_.kind = Node::Kind::map;
  for (const fs::path& file : files) {
    Document settings = TRY(recipe::read_settings(file));
    stamp(settings.root, add_file(file.string(), true));
    const Document known = with_files(std::move(settings.root));
    TRY(bring_in(known, known.root.find("enforce"), site_, true));
  }
  return {};
}

std::optional<Document> Assembly::site() const {
  return site_.keys.empty() ? std::nullopt : std::optional(with_files(site_));
}

Result<Document> Assembly::assemble(Document recipe) {
  files_.front() = recipe.files.front();
  shift(recipe.root, files_.size() - 1);
  files_.insert(files_.end(), recipe.files.begin() + 1, recipe.files.end());
  Node whole = recipe.root;
  const bool is_base = recipe.root.find("os") != nullptr;
  whole.keys.clear();
  whole.items.clear();
  if (is_base) {
    whole.keys = site_.keys;
    whole.items = site_.items;
  }
  TRY(bring_in(recipe, recipe.root.find("include"), whole, false));
  const Document all = with_files({});
  TRY(Merger(all, Merger::Lists::all).merge(whole, recipe.root, recipe_schema(), ""));
  if (!is_base) {
    TRY(Merger(all, Merger::Lists::only_known).merge(whole, site_, part_schema(), ""));
  }
  return with_files(std::move(whole));
}

namespace {
/// One line of an answer file may say several entries of a list; what no line says is a default.
void add_origin(const Document& document,
                const Node& node,
                const std::string& path,
                std::multimap<std::string, Position>& origins) {
  const Position position = document.position(node);
  const auto [first, last] = origins.equal_range(path);
  const bool is_default = node.line == 0 && node.source == 0;
  const bool is_known = first != last && std::prev(last)->second == position;
  if (!is_default && !is_known) {
    origins.emplace_hint(last, path, position);
  }
}
}  // namespace

void add_origins(const Document& document,
                 const Node& node,
                 const std::string& path,
                 std::multimap<std::string, Position>& origins) {
  if (node.kind == Node::Kind::map) {
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
      add_origins(document, node.items[i], child_path(path, node.keys[i].text), origins);
    }
  } else if (node.kind == Node::Kind::list) {
    for (const Node& item : node.items) {
      add_origin(document, item, path, origins);
    }
  } else {
    add_origin(document, node, path, origins);
  }
}

}  // namespace goldmill::recipe
