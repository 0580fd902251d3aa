// SPDX-License-Identifier: GPL-3.0-or-later
#include "assembly.hpp"

#include <fcntl.h>

#include <goldmill/image/digest.hpp>
#include <goldmill/image/disk.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/worker.hpp>

#include "holdings.hpp"

namespace goldmill::factory {

namespace fs = std::filesystem;

Result<std::vector<fs::path>> layer_trees(const Session& session,
                                          const std::vector<Digest>& layers) {
  std::vector<fs::path> paths;
  paths.reserve(layers.size());
  for (const Digest& layer : layers) {
    paths.push_back(session.home.tree(layer));
    std::error_code ignored;
    if (!fs::is_directory(paths.back(), ignored)) {
      return Error{ErrorKind::corrupt,
                   "layer " + layer.text() + " is gone from the store",
                   "build the image again; steps whose layers are there are not run again"};
    }
  }
  return paths;
}

Result<Json> run_disk_worker(Session& session,
                             const DiskParts& parts,
                             const std::string& name,
                             std::vector<int> hands,
                             const std::function<void(const Json&)>& on_event) {
  const system::UniqueFd assets = TRY(
      system::open_directory(session.home.assets(parts.assets)).context("the boot loader's files"));
  hands.push_back(assets.get());
  std::vector<system::UniqueFd> trees;
  for (const fs::path& path : TRY(layer_trees(session, parts.layers))) {
    trees.push_back(TRY(system::open_file(path, O_PATH | O_DIRECTORY)));
    hands.push_back(trees.back().get());
  }
  const image::DiskRequest request{parts.layout,
                                   image::Identity::of(parts.layers, parts.layout).seed(),
                                   image::Identity::of_lineage(parts.layers).seed(),
                                   parts.epoch,
                                   parts.layers.size()};
  return system::run_worker(
      {.name = name,
       .request = request.to_json(),
       .confinement = system::Confinement::sandbox,
       .hands = hands,
       .on_event = on_event,
       .is_cancelled = [&session] { return session.observer.is_cancelled(); }});
}

Result<AssembledDisk> assemble_disk(Session& session, const DiskParts& parts) {
  AssembledDisk disk{TRY(build::WorkDirectory::make(session.home.root())), {}, {}};
  disk.path = disk.work.path() / "disk.raw";
  const system::UniqueFd file = TRY(system::open_file(disk.path, O_RDWR | O_CREAT, 0600));
  const Json answer =
      TRY(run_disk_worker(session, parts, "disk", {file.get()}, [&session](const Json& event) {
        session.observer.step_progress(find_string(event, "phase").value_or("write"), 0, 0);
      }));
  disk.used = Bytes{static_cast<std::uint64_t>(TRY(integer_at(answer, "used_bytes")))};
  return disk;
}

Result<DiskParts> parts_of(const store::ImageRecord& image) {
  DiskParts parts;
  parts.layers = TRY(layers_of(image));
  parts.assets = TRY(Digest::parse(TRY(string_at(image.details, "assets"))));
  const Json* layout = find_value(image.details, "layout");
  parts.layout = TRY(image::Layout::from_json(layout == nullptr ? Json() : *layout));
  parts.epoch = TRY(integer_at(image.details, "epoch"));
  return parts;
}

Result<void> check_digest(const Session& session, const Digest& found, const Digest& expected) {
  if (found == expected) {
    return {};
  }
  return Error{ErrorKind::corrupt,
               "the layers give a disk with digest " + found.text() + ", not the recorded " +
                   expected.text(),
               "a layer below " + session.home.trees().string() +
                   " was changed (goldmill check), or this goldmill writes disks in another way: "
                   "build again"};
}

}  // namespace goldmill::factory
