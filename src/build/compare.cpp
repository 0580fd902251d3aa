// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/build/compare.hpp>
#include <goldmill/system/worker.hpp>

#include "open_directories.hpp"

namespace goldmill::build {

namespace fs = std::filesystem;

namespace {
/// Adds the layers to the hands, each once; their places there, bottom to top.
Result<Json> add_layers(OpenDirectories& directories,
                        std::vector<fs::path>& known,
                        const std::vector<fs::path>& layers) {
  Json places = Json::array();
  for (const fs::path& layer : layers) {
    const auto found = std::find(known.begin(), known.end(), layer);
    places.push_back(found - known.begin());
    if (found == known.end()) {
      TRY(directories.add(layer));
      known.push_back(layer);
    }
  }
  return places;
}

TreeChange change_from(const Json& event) {
  const auto value = [&](const char* key) {
    const Json* found = find_value(event, key);
    return found == nullptr ? Json() : *found;
  };
  TreeChange change;
  change.path = find_string(event, "path").value_or("");
  change.before = value("before");
  change.after = value("after");
  change.kind = change.before.is_null()  ? TreeChange::Kind::added
                : change.after.is_null() ? TreeChange::Kind::removed
                                         : TreeChange::Kind::changed;
  change.what = find_strings(event, "what");
  change.text = find_string(event, "text").value_or("");
  change.untold = find_string(event, "untold").value_or("");
  return change;
}
}  // namespace

const char* name_of(TreeChange::Kind kind) {
  switch (kind) {
    case TreeChange::Kind::added:
      return "added";
    case TreeChange::Kind::removed:
      return "removed";
    case TreeChange::Kind::changed:
      break;
  }
  return "changed";
}

Result<std::vector<TreeChange>> compare_trees(const std::vector<fs::path>& before,
                                              const std::vector<fs::path>& after,
                                              const std::function<bool()>& is_cancelled) {
  OpenDirectories directories;
  std::vector<fs::path> known;
  Json before_places = TRY(add_layers(directories, known, before));
  Json after_places = TRY(add_layers(directories, known, after));
  std::vector<TreeChange> changes;
  TRY(system::run_worker(
          {.name = "build.compare",
           .request = {{"before", std::move(before_places)}, {"after", std::move(after_places)}},
           .confinement = system::Confinement::guest_ids,
           .hands = directories.hands,
           .on_event = [&](const Json& event) { changes.push_back(change_from(event)); },
           .is_cancelled = is_cancelled})
          .context("comparing the files of two images"));
  return changes;
}

Result<std::vector<HiddenFiles>> attribute_files(
    const std::vector<fs::path>& layers,
    const std::function<void(const std::string& path, std::size_t layer)>& on_file) {
  OpenDirectories directories;
  for (const fs::path& layer : layers) {
    TRY(directories.add(layer));
  }
  const auto take = [&](const Json& event) {
    const auto layer = static_cast<std::size_t>(find_integer(event, "layer").value_or(0));
    for (const std::string& path : find_strings(event, "paths")) {
      on_file(path, layer);
    }
  };
  const Json answer = TRY(system::run_worker({.name = "build.attribute",
                                              .request = {{"layers", layers.size()}},
                                              .confinement = system::Confinement::guest_ids,
                                              .hands = directories.hands,
                                              .on_event = take})
                              .context("looking for the layer of each file"));
  std::vector<HiddenFiles> hidden;
  for (const Json& row : answer.at("hidden")) {
    hidden.push_back({static_cast<std::size_t>(TRY(integer_at(row, "layer"))),
                      static_cast<std::uint64_t>(TRY(integer_at(row, "files"))),
                      Bytes{static_cast<std::uint64_t>(TRY(integer_at(row, "bytes")))}});
  }
  return hidden;
}

}  // namespace goldmill::build
