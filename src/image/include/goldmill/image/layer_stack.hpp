// SPDX-License-Identifier: GPL-3.0-or-later
// LayerStack: what each layer has at each path, and what a guest sees of it, which is what an
// overlay of the layers shows. The disk writer gives places in the order of the layers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/image/tree.hpp>

namespace goldmill::image {

struct TreeSource {
  std::vector<int> layers = {};  ///< directories, bottom to top; never closed here
  std::string root = {};         ///< "srv": only what lies below it; "": everything
  /// Paths below `root` whose content is left out: another file system is mounted there.
  std::vector<std::string> hollow = {};
};

/// One layer's file at a path: a node of its tree.
struct Version {
  std::size_t layer = 0;
  std::size_t node = 0;
  friend bool operator<(const Version& one, const Version& other) {
    return std::pair(one.layer, one.node) < std::pair(other.layer, other.node);
  }
};

/// A path that some layer has, whether or not anything is left of it.
struct Place {
  std::string name;
  std::size_t parent = 0;
  std::size_t turn = 0;                 ///< in which it came
  std::vector<std::size_t> below = {};  ///< places in it, in the order in which they came
  std::optional<Version> shown = {};    ///< what the guest sees there
};

class LayerStack {
 public:
  /// Errors: not_found when no layer has the root as a directory; invalid_input for a tree that
  /// no file system can hold.
  static Result<LayerStack> read(const TreeSource& source);

  /// [0] is the root.
  const std::vector<Place>& places() const { return places_; }
  std::size_t place_of(Version version) const { return at(places_of_, version); }
  const TreeNode& node(Version version) const {
    return trees_.at(version.layer).nodes.at(version.node);
  }
  /// The version under the first of its names in the layer.
  Version first_name(Version version) const {
    return {version.layer, node(version).same_as.value_or(version.node)};
  }
  /// Names that the guest sees of the file, for a directory 2 + subdirectories; 0: hidden.
  std::uint32_t links(Version version) const { return at(links_, first_name(version)); }
  std::string path_of(Version version) const {
    return trees_.at(version.layer).path_of(version.node);
  }
  /// Time of the newest file in a layer. A disk's times are these, so that a layer has the same
  /// in each image.
  std::int64_t newest(std::size_t layer) const { return newest_.at(layer); }
  /// For contents. `version` must be a regular file.
  Result<system::UniqueFd> open(Version version) const;

  /// What is to be placed, turn by turn: the layers, sorted by names, each file once.
  const std::vector<std::vector<Version>>& turns() const { return turns_; }
  /// From now on all is one turn of what the guest sees, as if it were one layer.
  void squash();

 private:
  friend class StackBuilder;
  template <typename T>
  static const T& at(const std::vector<std::vector<T>>& table, Version version) {
    return table.at(version.layer).at(version.node);
  }
  void squash_below(std::size_t place);

  std::vector<system::UniqueFd> layers_;
  std::vector<Tree> trees_;
  std::vector<std::int64_t> newest_;
  std::vector<Place> places_;
  std::vector<std::vector<std::size_t>> places_of_;
  std::vector<std::vector<std::uint32_t>> links_;
  std::vector<std::vector<Version>> turns_;
};

}  // namespace goldmill::image
