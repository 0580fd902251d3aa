// SPDX-License-Identifier: GPL-3.0-or-later
#include "assembly.hpp"

#include <fcntl.h>

#include <goldmill/build/overlay_sandbox.hpp>
#include <goldmill/image/disk.hpp>
#include <goldmill/system/file.hpp>

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

Result<AssembledDisk> assemble_disk(Session& session, const DiskParts& parts) {
  AssembledDisk disk{TRY(build::WorkDirectory::make(session.home.root())), {}, {}};
  disk.path = disk.work.path() / "disk.raw";
  const system::UniqueFd file = TRY(system::open_file(disk.path, O_RDWR | O_CREAT, 0600));
  const system::UniqueFd assets = TRY(
      system::open_directory(session.home.assets(parts.assets)).context("the boot loader's files"));
  build::OverlaySandbox view(
      {.layers = TRY(layer_trees(session, parts.layers)),
       .epoch = parts.epoch,
       .is_cancelled = [&session] { return session.observer.is_cancelled(); }});
  const image::DiskRequest request{
      parts.layout, image::Identity::of(parts.layers, parts.layout).seed(), parts.epoch};
  const Json answer = TRY(view.call(
      "disk", request.to_json(), {file.get(), assets.get()}, [&session](const Json& event) {
        session.observer.step_progress(find_string(event, "phase").value_or("write"), 0, 0);
      }));
  disk.used = Bytes{static_cast<std::uint64_t>(TRY(integer_at(answer, "used_bytes")))};
  return disk;
}

}  // namespace goldmill::factory
