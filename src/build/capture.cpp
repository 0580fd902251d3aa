// SPDX-License-Identifier: GPL-3.0-or-later
#include <cerrno>

#include <unistd.h>

#include <goldmill/build/capture.hpp>
#include <goldmill/build/seal.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/worker.hpp>

#include "open_directories.hpp"

namespace goldmill::build {

namespace fs = std::filesystem;
using system::UniqueFd;

Result<CapturedLayer> capture_layer(const CaptureOptions& options) {
  OpenDirectories directories;
  TRY(directories.add(options.work));
  for (const fs::path& layer : options.layers) {
    TRY(directories.add(layer));
  }
  const Json result = TRY(
      system::run_worker({.name = "build.capture",
                          .request = {{"layers", options.layers.size()}, {"epoch", options.epoch}},
                          .confinement = system::Confinement::guest_ids,
                          .hands = directories.hands})
          .context("capturing what the step changed"));
  return CapturedLayer{TRY(Digest::parse(TRY(string_at(result, "diff_id")))),
                       Bytes{static_cast<std::uint64_t>(TRY(integer_at(result, "size")))},
                       static_cast<std::uint64_t>(TRY(integer_at(result, "entries"))),
                       find_strings(result, "sealed")};
}

Result<void> commit_layer(const fs::path& work,
                          const fs::path& trees,
                          const Digest& diff_id,
                          Existing existing) {
  OpenDirectories directories;
  TRY(directories.add(work));
  TRY(directories.add(trees));
  TRY(system::run_worker(
          {.name = "build.commit",
           .request = {{"name", diff_id.hex()}, {"vouched", existing == Existing::vouched}},
           .confinement = system::Confinement::guest_ids,
           .hands = directories.hands})
          .context("storing the layer " + diff_id.brief()));
  return {};
}

Result<void> sync_layers(const fs::path& trees) {
  const UniqueFd directory = TRY(system::open_directory(trees));
  if (::syncfs(directory.get()) != 0) {
    return system_error("cannot make the layers durable", errno);
  }
  return {};
}

Result<std::vector<Finding>> check_image(const std::vector<ImageLayer>& layers,
                                         const std::vector<std::string>& allowed) {
  OpenDirectories directories;
  Json declared = Json::array();
  for (const ImageLayer& layer : layers) {
    TRY(directories.add(layer.tree));
    declared.push_back(layer.declared);
  }
  std::vector<Finding> findings;
  const auto take = [&](const Json& event) {
    findings.push_back({find_string(event, "rule").value_or(""),
                        find_string(event, "path").value_or(""),
                        static_cast<std::size_t>(find_integer(event, "layer").value_or(0))});
  };
  TRY(system::run_worker({.name = "build.check",
                          .request = {{"declared", std::move(declared)}, {"allowed", allowed}},
                          .confinement = system::Confinement::guest_ids,
                          .hands = directories.hands,
                          .on_event = take})
          .context("checking that the image is sealed"));
  return findings;
}

}  // namespace goldmill::build
