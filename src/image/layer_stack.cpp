// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <goldmill/image/layer_stack.hpp>
#include <goldmill/store/layer_tree.hpp>

namespace goldmill::image {

using system::UniqueFd;

namespace {
/// What a layer has of a path: itself, nothing, or something that hides lower layers' path.
struct Reach {
  UniqueFd directory;
  bool hides = false;
};

bool is_marked_opaque(int directory) {
  char value = 0;
  return ::fgetxattr(directory, store::kOpaqueAttribute, &value, 1) == 1 && value == 'y';
}

/// Goes down name by name, since each directory on the way may hide what is below it.
Result<Reach> reach(int layer, const std::string& path) {
  Reach reached{TRY(open_in_tree(layer, ".", O_RDONLY | O_DIRECTORY))};
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string name = path.substr(at, end - at);
    struct stat status {};
    const bool exists =
        ::fstatat(reached.directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (!exists || !S_ISDIR(status.st_mode)) {
      return Reach{UniqueFd(), reached.hides || exists};
    }
    reached.directory = TRY(open_in_tree(reached.directory.get(), name, O_RDONLY | O_DIRECTORY));
    reached.hides = reached.hides || is_marked_opaque(reached.directory.get());
    at = end + 1;
  }
  return reached;
}

/// The directories that show through at the path, bottom to top.
Result<std::vector<UniqueFd>> layers_at(const std::vector<int>& layers, const std::string& path) {
  std::vector<UniqueFd> found;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    Reach reached = TRY(reach(*layer, path));
    if (reached.directory) {
      found.insert(found.begin(), std::move(reached.directory));
    }
    if (reached.hides) {
      break;
    }
  }
  if (found.empty()) {
    return Error{ErrorKind::not_found,
                 "the tree has no directory /" + path,
                 "a file system is to be mounted there: a link cannot take its place"};
  }
  return found;
}
}  // namespace

/// Lays one layer after the other on the stack, as overlays do (Linux, overlayfs.rst).
class StackBuilder {
 public:
  explicit StackBuilder(LayerStack& stack) : stack_(stack) {}

  void add(std::size_t layer) {
    const std::vector<TreeNode>& nodes = stack_.trees_[layer].nodes;
    stack_.places_of_.emplace_back(nodes.size());
    stack_.links_.emplace_back(nodes.size());
    stack_.turns_.emplace_back();
    std::int64_t newest = 1;
    for (std::size_t index = 0; index < nodes.size(); ++index) {
      add({layer, index});
      // The root's own time is no part of a layer.
      newest = index == 0 ? newest : std::max(newest, nodes[index].mtime);
    }
    stack_.newest_.push_back(newest);
  }

  /// lost+found is ours to make; one that a mounted file system left in a tree is dropped.
  Result<void> drop_lost_and_found() {
    const auto found = places_by_name_.find({0, "lost+found"});
    if (found == places_by_name_.end() || !stack_.places_[found->second].shown) {
      return {};
    }
    Place& place = stack_.places_[found->second];
    const bool is_empty = std::none_of(place.below.begin(), place.below.end(), [&](auto below) {
      return stack_.places_[below].shown.has_value();
    });
    if (!S_ISDIR(stack_.node(*place.shown).mode) || !is_empty) {
      return Error{ErrorKind::invalid_input,
                   "/lost+found of the tree is not an empty directory",
                   "remove it: each ext4 file system makes its own"};
    }
    place.shown.reset();
    return {};
  }

  void count_links() {
    for (std::size_t index = 0; index < stack_.places_.size(); ++index) {
      const Place& place = stack_.places_[index];
      if (!place.shown) {
        continue;
      }
      const bool is_directory = S_ISDIR(stack_.node(*place.shown).mode);
      links(*place.shown) += is_directory ? 2 : 1;
      if (is_directory && index != 0) {
        ++links(*stack_.places_[place.parent].shown);
      }
    }
  }

 private:
  void add(Version version) {
    const TreeNode& node = stack_.node(version);
    const std::size_t place = version.node == 0 ? root() : place_for(version, node);
    stack_.places_of_[version.layer][version.node] = place;
    if (!S_ISDIR(node.mode) || node.opaque || !shows_directory(place)) {
      hide_below(place);
    }
    if (node.whiteout) {
      stack_.places_[place].shown.reset();
      return;
    }
    stack_.places_[place].shown = version;
    if (!node.same_as) {
      stack_.turns_[version.layer].push_back(version);
    }
  }

  std::size_t root() {
    if (stack_.places_.empty()) {
      stack_.places_.push_back({});
    }
    return 0;
  }

  std::size_t place_for(Version version, const TreeNode& node) {
    const std::size_t parent = stack_.places_of_[version.layer][node.parent];
    const auto [found, is_new] =
        places_by_name_.try_emplace({parent, node.name}, stack_.places_.size());
    if (is_new) {
      stack_.places_.push_back({node.name, parent, version.layer});
      stack_.places_[parent].below.push_back(found->second);
    }
    return found->second;
  }

  bool shows_directory(std::size_t place) const {
    const auto& shown = stack_.places_[place].shown;
    return shown && S_ISDIR(stack_.node(*shown).mode);
  }

  void hide_below(std::size_t place) {
    for (const std::size_t below : stack_.places_[place].below) {
      if (stack_.places_[below].shown) {
        stack_.places_[below].shown.reset();
        hide_below(below);
      }
    }
  }

  std::uint32_t& links(Version version) {
    const Version first = stack_.first_name(version);
    return stack_.links_[first.layer][first.node];
  }

  LayerStack& stack_;
  /// Views of names in the trees, which stay where they are.
  std::map<std::pair<std::size_t, std::string_view>, std::size_t> places_by_name_;
};

Result<LayerStack> LayerStack::read(const TreeSource& source) {
  LayerStack stack;
  stack.layers_ = TRY(layers_at(source.layers, source.root));
  for (const UniqueFd& layer : stack.layers_) {
    stack.trees_.push_back(TRY(read_tree(layer.get(), source.hollow)));
  }
  StackBuilder builder(stack);
  for (std::size_t layer = 0; layer < stack.trees_.size(); ++layer) {
    builder.add(layer);
  }
  TRY(builder.drop_lost_and_found());
  builder.count_links();
  return stack;
}

Result<UniqueFd> LayerStack::open(Version version) const {
  return open_in_tree(layers_.at(version.layer).get(), path_of(version), O_RDONLY | O_NONBLOCK);
}

void LayerStack::squash() {
  turns_ = {{}};
  squash_below(0);
  auto& turn = turns_.front();
  std::set<Version> met;
  std::erase_if(turn, [&](Version version) { return !met.insert(version).second; });
}

void LayerStack::squash_below(std::size_t place) {
  Place& own = places_[place];
  own.turn = 0;
  turns_.front().push_back(first_name(*own.shown));
  std::erase_if(own.below, [this](std::size_t below) { return !places_[below].shown; });
  std::sort(own.below.begin(), own.below.end(), [this](std::size_t one, std::size_t other) {
    return places_[one].name < places_[other].name;
  });
  for (const std::size_t below : own.below) {
    squash_below(below);
  }
}

}  // namespace goldmill::image
