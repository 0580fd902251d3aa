// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <set>

#include <fcntl.h>

#include <goldmill/build/overlay_sandbox.hpp>
#include <goldmill/build/work.hpp>
#include <goldmill/exporter/exporter.hpp>
#include <goldmill/factory/image_jobs.hpp>
#include <goldmill/image/disk.hpp>
#include <goldmill/store/layer_tree.hpp>
#include <goldmill/store/reference.hpp>
#include <goldmill/system/file.hpp>

#include "assembly.hpp"
#include "image_recipe.hpp"

namespace goldmill::factory {

namespace {

Result<store::ImageRecord> find(Session& session, const std::string& name) {
  return session.catalogue.find_image(TRY(store::ImageReference::parse(name)));
}

Result<DiskParts> parts_of(const store::ImageRecord& image) {
  DiskParts parts;
  for (const std::string& layer : find_strings(image.details, "layers")) {
    parts.layers.push_back(TRY(Digest::parse(layer)));
  }
  parts.assets = TRY(Digest::parse(TRY(string_at(image.details, "assets"))));
  const Json* layout = find_value(image.details, "layout");
  parts.layout = TRY(image::Layout::from_json(layout == nullptr ? Json() : *layout));
  parts.epoch = TRY(integer_at(image.details, "epoch"));
  return parts;
}

/// The seal's checks as rows of the report: one for the whole image, or one per finding.
std::vector<prove::Row> seal_rows(const store::ImageRecord& image) {
  const Json* seal = find_value(image.details, "seal");
  if (seal == nullptr || seal->empty()) {
    return {{"sealed: no identity or residue in any layer", "nothing", "nothing", true}};
  }
  std::vector<prove::Row> rows;
  for (const Json& finding : *seal) {
    rows.push_back({"sealed: " + find_string(finding, "rule").value_or(""),
                    "nothing",
                    find_string(finding, "path").value_or(""),
                    false});
  }
  return rows;
}

Result<std::filesystem::path> disk_of(const Session& session, const store::ImageRecord& image) {
  const auto disk = session.home.disk(image.digest);
  std::error_code ignored;
  if (!std::filesystem::exists(disk, ignored)) {
    return Error{ErrorKind::not_found,
                 "the disk of " + image.reference() + " is gone",
                 "build the recipe again: its steps are not run again"};
  }
  return disk;
}

/// A machine that the image does not support would only show that it does not.
Result<void> check_controllers(const store::ImageRecord& image,
                               const recipe::Recipe& recipe,
                               const std::vector<machine::Controller>& controllers) {
  for (const machine::Controller controller : controllers) {
    const recipe::Hardware needed =
        controller == machine::Controller::virtio ? recipe::Hardware::virtio
        : controller == machine::Controller::nvme ? recipe::Hardware::nvme
                                                  : recipe::Hardware::vmware;
    const auto& hardware = recipe.hardware;
    if (std::find(hardware.begin(), hardware.end(), needed) == hardware.end()) {
      return Error{
          ErrorKind::invalid_input,
          image.reference() + " does not support " + machine::name_of(controller),
          std::string("its recipe's `hardware:` would have to name ") + recipe::name_of(needed)};
    }
  }
  return {};
}

std::optional<Bytes> bytes_at(const Json& details, std::string_view key) {
  const auto value = find_integer(details, key);
  return value ? std::optional(Bytes{static_cast<std::uint64_t>(*value)}) : std::nullopt;
}

}  // namespace

Result<prove::Report> test_image(Session& session,
                                 const TestRequest& request,
                                 const prove::Progress& progress) {
  store::ImageRecord image = TRY(find(session, request.image));
  prove::ProveRequest wanted;
  // Locked: another goldmill that starts in the meantime must not take it for a dead one's.
  const build::WorkDirectory work = TRY(build::WorkDirectory::make(session.home.root()));
  wanted.home = session.home.root();
  wanted.work = work.path();
  wanted.image = image.reference();
  wanted.disk = TRY(disk_of(session, image));
  wanted.recipe = TRY(recipe_of(image));
  TRY(check_controllers(image, wanted.recipe, request.controllers));
  wanted.firmwares = request.firmwares;
  wanted.controllers = request.controllers;
  wanted.disk_used = bytes_at(image.details, "disk_used_bytes");
  wanted.image_size = bytes_at(image.details, "qcow2_bytes");
  wanted.rows = seal_rows(image);
  wanted.evidence = session.home.logs() / (image.name + "." + std::to_string(image.version));
  TRY(system::make_directories(wanted.evidence, 0700));
  prove::Report report = TRY(prove::prove(wanted, progress));
  image.details["test"] = prove::to_json(report);
  TRY(session.catalogue.update_details(image));
  return report;
}

Result<void> export_image(Session& session, const ExportRequest& request) {
  const store::ImageRecord image = TRY(find(session, request.image));
  const DiskParts parts = TRY(parts_of(image));
  exporter::Export wanted;
  wanted.hardware = parts.layout.hardware;
  wanted.format = request.format;
  wanted.output = request.output;
  wanted.options = request.options;
  TRY(exporter::check(wanted));  // before anything slow
  session.observer.step_started(image.reference(), "assemble", "");
  const AssembledDisk disk = TRY(assemble_disk(session, parts));
  const system::UniqueFd file = TRY(system::open_file(disk.path, O_RDONLY));
  const Digest digest = TRY(image::disk_digest(file.get()));
  if (digest != image.disk_digest) {
    return Error{ErrorKind::corrupt,
                 "the layers of " + image.reference() + " give a disk with digest " +
                     digest.text() + ", not the recorded " + image.disk_digest.text(),
                 "a layer below " + session.home.trees().string() +
                     " was changed, or this goldmill writes disks in another way: build again"};
  }
  wanted.source.disk = disk.path;
  wanted.source.write_tree = [&](int descriptor) -> Result<void> {
    build::OverlaySandbox tree(
        {.layers = TRY(layer_trees(session, parts.layers)), .epoch = parts.epoch});
    TRY(tree.call("build.archive", {{"epoch", parts.epoch}}, {descriptor}, {}));
    return {};
  };
  wanted.progress.show = [&session](std::uint64_t done, std::uint64_t total) {
    session.observer.step_progress("write", done, total);
  };
  wanted.progress.is_cancelled = [&session] { return session.observer.is_cancelled(); };
  return exporter::export_image(wanted);
}

Result<launch::Fleet> launch_image(Session& session,
                                   launch::LaunchRequest request,
                                   const launch::Progress& progress) {
  const store::ImageRecord image = TRY(find(session, request.image));
  request.image = image.reference();
  request.disk = TRY(disk_of(session, image));
  return launch::launch(session.home.root(), request, progress);
}

Json describe_image(Session& session, const store::ImageRecord& image) {
  const Json& details = image.details;
  const Json* packages = find_value(details, "packages");
  const auto value = [&details](const char* key) {
    const Json* found = find_value(details, key);
    return found == nullptr ? Json() : *found;
  };
  Json json = {{"name", image.name},
               {"version", image.version},
               {"digest", image.digest.text()},
               {"disk_digest", image.disk_digest.text()},
               {"packages", packages == nullptr ? 0 : packages->size()},
               {"qcow2", session.home.disk(image.digest).string()},
               {"created", image.created}};
  for (const char* key : {"os",
                          "architecture",
                          "parent",
                          "disk_used_bytes",
                          "qcow2_bytes",
                          "build_seconds",
                          "steps",
                          "layers",
                          "recipe_file"}) {
    json[key] = value(key);
  }
  const Json* test = find_value(details, "test");
  json["tested"] = test == nullptr ? Json() : Json(find_bool(*test, "passed").value_or(false));
  return json;
}

Result<void> check_removable(Session& session,
                             const store::ImageRecord& image,
                             const std::set<Digest>& gone) {
  for (const store::ImageRecord& child : TRY(session.catalogue.children_of(image.digest))) {
    if (!gone.contains(child.digest)) {
      return Error{ErrorKind::conflict,
                   image.reference() + " is what " + child.reference() + " stands on",
                   "remove that first"};
    }
  }
  for (const launch::Instance& instance : TRY(launch::list(session.home.root()))) {
    if (instance.image == image.reference()) {
      return Error{ErrorKind::conflict,
                   "instance " + instance.name + " is linked to " + image.reference(),
                   "remove it first: goldmill rm " + instance.name};
    }
  }
  return {};
}

Result<void> remove_image(Session& session, const store::ImageRecord& image) {
  TRY(check_removable(session, image));
  TRY(session.catalogue.remove_image(image));
  if (!TRY(session.catalogue.find_image_by_digest(image.digest))) {
    std::error_code ignored;
    std::filesystem::remove(session.home.disk(image.digest), ignored);
  }
  return {};
}

}  // namespace goldmill::factory
