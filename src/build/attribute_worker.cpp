// SPDX-License-Identifier: GPL-3.0-or-later
// Inside of attribute_files(): which layer each file comes from, and what no file shows.
#include <cerrno>
#include <map>
#include <set>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>

#include "layer_workers.hpp"
#include "layered_directory.hpp"
#include "tree_walk.hpp"

namespace goldmill::build {

using system::UniqueFd;

namespace {
class Attribution {
 public:
  explicit Attribution(system::WorkerContext& context) : context_(context) {}
  Result<void> directory(const LayeredDirectory& tree, const std::string& path, std::size_t depth);
  /// [{"layer", "files", "bytes"}]
  Json finish();

 private:
  using Inode = std::pair<std::size_t, ino_t>;  // of a layer
  struct Sum {
    std::uint64_t files = 0;
    std::uint64_t blocks = 0;
  };

  void show(const LayeredEntry& entry, const std::string& path);
  Result<void> hide(const LayerEntry& entry, const std::string& name, std::size_t depth);
  void send(std::size_t layer);

  system::WorkerContext& context_;
  std::map<std::size_t, std::vector<std::string>> paths_;
  std::map<std::size_t, Sum> hidden_;
  std::set<Inode> shown_;                        // of files with several names
  std::map<Inode, std::uint64_t> hidden_names_;  // the same, by one that is hidden
};

void Attribution::send(std::size_t layer) {
  context_.send_event({{"layer", layer}, {"paths", std::exchange(paths_[layer], {})}});
}

void Attribution::show(const LayeredEntry& entry, const std::string& path) {
  constexpr std::size_t kTogether = 1000;
  const LayerEntry& owner = entry.is_directory() ? entry.shown.back() : entry.shown.front();
  if (!entry.is_directory() && owner.status.st_nlink > 1) {
    shown_.insert({owner.layer, owner.status.st_ino});
  }
  paths_[owner.layer].push_back(path);
  if (paths_[owner.layer].size() >= kTogether) {
    send(owner.layer);
  }
}

Result<void> Attribution::hide(const LayerEntry& entry,
                               const std::string& name,
                               std::size_t depth) {
  TRY(check_depth(name, depth));
  const auto blocks = static_cast<std::uint64_t>(entry.status.st_blocks);
  if (!S_ISDIR(entry.status.st_mode)) {
    if (is_whiteout(entry.status)) {
      return {};
    }
    if (entry.status.st_nlink > 1) {
      hidden_names_[{entry.layer, entry.status.st_ino}] = blocks;
      return {};
    }
    ++hidden_[entry.layer].files;
    hidden_[entry.layer].blocks += blocks;
    return {};
  }
  hidden_[entry.layer].blocks += blocks;
  const UniqueFd inside = TRY(open_subdirectory(entry.parent, name));
  for (const std::string& below : TRY(names_in(inside.get()))) {
    LayerEntry next{entry.layer, inside.get(), {}};
    if (::fstatat(inside.get(), below.c_str(), &next.status, AT_SYMLINK_NOFOLLOW) != 0) {
      return system_error("cannot look at " + below, errno);
    }
    TRY(hide(next, below, depth + 1));
  }
  return {};
}

Result<void> Attribution::directory(const LayeredDirectory& tree,
                                    const std::string& path,
                                    std::size_t depth) {
  TRY(check_depth(path, depth));
  for (const std::string& name : TRY(tree.names())) {
    const LayeredEntry entry = TRY(tree.find(name).context(path));
    for (const LayerEntry& hidden : entry.hidden) {
      TRY(hide(hidden, name, depth + 1).context(path));
    }
    if (entry.shown.empty()) {
      continue;
    }
    show(entry, path + "/" + name);
    if (entry.is_directory()) {
      const LayeredDirectory inside = TRY(LayeredDirectory::open(entry, name));
      TRY(directory(inside, path + "/" + name, depth + 1));
    }
  }
  return {};
}

Json Attribution::finish() {
  for (const auto& [layer, paths] : std::map(paths_)) {
    send(layer);
  }
  for (const auto& [inode, blocks] : hidden_names_) {
    if (!shown_.contains(inode)) {
      ++hidden_[inode.first].files;
      hidden_[inode.first].blocks += blocks;
    }
  }
  Json rows = Json::array();
  for (const auto& [layer, sum] : hidden_) {
    rows.push_back({{"layer", layer}, {"files", sum.files}, {"bytes", sum.blocks * 512}});
  }
  return rows;
}
}  // namespace

Result<Json> attribute_worker(system::WorkerContext& context) {
  std::vector<LayerRoot> layers;
  const auto count = static_cast<std::size_t>(TRY(integer_at(context.request(), "layers")));
  for (std::size_t index = 0; index < count; ++index) {
    layers.push_back({context.hand(index), index});
  }
  const LayeredDirectory root = TRY(LayeredDirectory::open_root(layers));
  Attribution attribution(context);
  TRY(attribution.directory(root, "", 0));
  return Json{{"hidden", attribution.finish()}};
}

}  // namespace goldmill::build
