// SPDX-License-Identifier: GPL-3.0-or-later
// LayeredDirectory: a directory as layers show it together, and which layer each name is from.
// Overlay's rules without a mount, so that layers need not be read where nothing asks for them.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include <sys/stat.h>

#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::build {

/// An open layer tree; `id` is the same for the same layer wherever it is used.
struct LayerRoot {
  int directory = -1;
  std::size_t id = 0;
};

/// One layer's entry of a name; `parent` is that layer's directory, open as long as the
/// LayeredDirectory is.
struct LayerEntry {
  std::size_t layer = 0;
  int parent = -1;
  struct stat status {};
};

/// What the layers have under one name, top first. `shown` is empty when the name is not to be
/// seen; it has more than one entry only for a directory that several layers fill. `hidden` is
/// what nobody sees: below a file, a whiteout or an opaque directory.
struct LayeredEntry {
  std::vector<LayerEntry> shown;
  std::vector<LayerEntry> hidden;
  bool is_directory() const { return !shown.empty() && S_ISDIR(shown.front().status.st_mode); }
};

class LayeredDirectory {
 public:
  /// The root of a tree; `layers` bottom to top.
  static Result<LayeredDirectory> open_root(const std::vector<LayerRoot>& layers);
  /// The directory that shows under a name; `entry` is what find(name) gave.
  static Result<LayeredDirectory> open(const LayeredEntry& entry, const std::string& name);
  LayeredDirectory() = default;

  Result<LayeredEntry> find(const std::string& name) const;
  /// Names in all layers, whiteouts' too.
  Result<std::set<std::string>> names() const { return names_above(0); }
  /// How many layers at the bottom are the same here as there: what only these have is equal.
  std::size_t shared_with(const LayeredDirectory& other) const;
  /// Names in the layers above the lowest `count`.
  Result<std::set<std::string>> names_above(std::size_t count) const;

 private:
  struct Part {
    std::size_t layer;
    system::UniqueFd directory;
  };
  std::vector<Part> parts_;  // top first
};

}  // namespace goldmill::build
