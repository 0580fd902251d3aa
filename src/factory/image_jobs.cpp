// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <map>
#include <set>

#include <fcntl.h>

#include <goldmill/build/overlay_sandbox.hpp>
#include <goldmill/build/work.hpp>
#include <goldmill/exporter/exporter.hpp>
#include <goldmill/factory/image_jobs.hpp>
#include <goldmill/image/disk.hpp>
#include <goldmill/image/grub_config.hpp>
#include <goldmill/qcow2/chain.hpp>
#include <goldmill/store/layer_tree.hpp>
#include <goldmill/store/reference.hpp>
#include <goldmill/system/file.hpp>

#include "ancestry.hpp"
#include "assembly.hpp"
#include "claims.hpp"
#include "holdings.hpp"
#include "image_recipe.hpp"
#include "oci_index.hpp"
#include "stored_disk.hpp"

namespace goldmill::factory {

namespace {

Result<store::ImageRecord> find(Session& session, const std::string& name) {
  return session.catalogue.find_image(TRY(store::ImageReference::parse(name)));
}

using Objects = std::vector<std::string>;

/// For a launch, whose disk nobody but it needs.
Result<Objects> objects_to_launch(const Session& session, const store::ImageRecord& image) {
  return Objects{session.home.name_of(session.home.snapshots(image.digest))};
}

/// For who reads what the image is made of, or its disk.
Result<Objects> objects_to_read(const Session& session, const store::ImageRecord& image) {
  const store::Home& home = session.home;
  Objects objects = {home.name_of(home.blob(image.digest)), home.name_of(home.disk(image.digest))};
  if (const auto assets = Digest::parse(find_string(image.details, "assets").value_or(""))) {
    objects.push_back(home.name_of(home.assets(*assets)));
  }
  for (const Digest& layer : TRY(layers_of(image))) {
    objects.push_back(home.name_of(home.tree(layer)));
  }
  return objects;
}

/// The image of this name, which nobody removes while it is claimed: what was found before the
/// claim may have gone by then.
Result<store::ImageRecord> claimed_image(Session& session,
                                         const std::string& name,
                                         Claims& claims,
                                         Result<Objects> (*needed)(const Session&,
                                                                   const store::ImageRecord&)) {
  store::ImageRecord image = TRY(find(session, name));
  for (Digest claimed; claimed != image.digest; image = TRY(find(session, name))) {
    claimed = image.digest;
    const Objects objects = TRY(needed(session, image));
    TRY(claims.add(objects));
  }
  return image;
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
  auto files = disk_files(session.home, image.digest).context("the disk of " + image.reference());
  if (!files) {
    files.error().hint = "build the recipe again: its steps are not run again";
    return files.error();
  }
  return files->front();
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

/// What steps of the image want to run is promised, too.
void add_services(recipe::Promises& promises, const store::ImageRecord& image) {
  for (const std::string& unit : find_strings(image.details, "services")) {
    if (std::find(promises.services.begin(), promises.services.end(), unit) ==
        promises.services.end()) {
      promises.services.push_back(unit);
    }
  }
}

std::vector<machine::Firmware> promised_firmwares(const recipe::Recipe& recipe) {
  std::vector<machine::Firmware> firmwares;
  for (const recipe::Firmware firmware : recipe.disk.value_or(recipe::Disk{}).boot) {
    firmwares.push_back(firmware == recipe::Firmware::bios ? machine::Firmware::bios
                                                           : machine::Firmware::uefi);
  }
  return firmwares;
}

/// What a boot by it is a boot by: Secure Boot is one way of UEFI.
const char* promise_of(machine::Firmware firmware) {
  return recipe::name_of(firmware == machine::Firmware::bios ? recipe::Firmware::bios
                                                             : recipe::Firmware::uefi);
}

/// As prove names what it keeps of a boot; the dossier's own files went with the machine.
void name_evidence(prove::Report& report, const std::filesystem::path& evidence) {
  for (prove::BootFailure& failure : report.failures) {
    std::string name = failure.boot;
    std::replace(name.begin(), name.end(), ' ', '-');
    const auto kept = [&](const char* ending) {
      const std::filesystem::path file = evidence / (name + ending);
      std::error_code ignored;
      return std::filesystem::exists(file, ignored) ? file.string() : "";
    };
    failure.dossier["serial_log"] = kept(".serial.log");
    if (!find_string(failure.dossier, "screenshot").value_or("").empty()) {
      failure.dossier["screenshot"] = kept(".ppm");
    }
  }
}

constexpr const char* kTestedBy = "tested_by";  // {"bios": true}: how the last test by it ended

Result<void> keep_report(Session& session,
                         const prove::Report& report,
                         const std::vector<machine::Firmware>& firmwares) {
  // Read anew: in the minutes of the boots another test of it may have ended.
  auto image = find(session, report.image);
  if (!image) {
    return image.error().kind == ErrorKind::not_found ? Result<void>()
                                                      : Result<void>(std::move(image).error());
  }
  Json kept = prove::to_json(report);
  kept["firmwares"] = Json::array();
  for (const machine::Firmware firmware : firmwares) {
    kept["firmwares"].push_back(machine::name_of(firmware));
    image->details[kTestedBy][promise_of(firmware)] = kept["passed"];
  }
  image->details["test"] = std::move(kept);
  return session.catalogue.update_details(*image);
}

/// As describe_image() says it.
Json tested(const Json& details) {
  const Json* outcomes = find_value(details, kTestedBy);
  const Json* layout = find_value(details, "layout");
  if (outcomes == nullptr || layout == nullptr) {
    return nullptr;
  }
  bool is_whole = true;
  for (const std::string& firmware : find_strings(*layout, "firmware")) {
    const auto passed = find_bool(*outcomes, firmware);
    if (passed && !*passed) {
      return false;
    }
    is_whole = is_whole && passed.has_value();
  }
  return is_whole ? Json(true) : Json();
}

/// Keys that cloud-config documents of the lineage give to users are named, too.
Result<void> add_documents(Session& session,
                           const store::ImageRecord& image,
                           recipe::Recipe& recipe) {
  for (const store::ImageRecord& member : TRY(line_of(session, image))) {
    const Json* snapshot = find_value(member.details, "recipe");
    const Json* requests = snapshot == nullptr ? nullptr : find_value(*snapshot, "requests");
    const Json* steps = requests == nullptr ? nullptr : find_value(*requests, "provision");
    for (const Json& step : steps == nullptr ? Json::array() : *steps) {
      const Json* document = find_value(step, "cloud_config");
      const Json* config = document == nullptr ? nullptr : find_value(*document, "config");
      if (config != nullptr) {
        recipe.provision.push_back({.action = recipe::CloudConfigStep{.config = *config}});
      }
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
  Claims claims(session);
  const store::ImageRecord image =
      TRY(claimed_image(session, request.image, claims, objects_to_read));
  prove::ProveRequest wanted;
  // Locked: another goldmill that starts in the meantime must not take it for a dead one's.
  const build::WorkDirectory work = TRY(build::WorkDirectory::make(session.home.root()));
  wanted.home = session.home.root();
  wanted.work = work.path();
  wanted.image = image.reference();
  wanted.disk = TRY(disk_of(session, image));
  wanted.recipe = TRY(recipe_of(image));
  add_services(wanted.recipe.promises, image);
  TRY(add_documents(session, image, wanted.recipe));
  TRY(check_controllers(image, wanted.recipe, request.controllers));
  wanted.firmwares =
      request.firmwares.empty() ? promised_firmwares(wanted.recipe) : request.firmwares;
  wanted.controllers = request.controllers;
  wanted.disk_used = bytes_at(image.details, "disk_used_bytes");
  wanted.image_size = bytes_at(image.details, "qcow2_bytes");
  wanted.rows = seal_rows(image);
  wanted.evidence = session.home.evidence(image.name, image.version);
  TRY(system::make_directories(wanted.evidence, 0700));
  prove::Report report = TRY(prove::prove(wanted, progress));
  name_evidence(report, wanted.evidence);
  TRY(keep_report(session, report, wanted.firmwares));
  return report;
}

Result<void> export_image(Session& session, const ExportRequest& request) {
  Claims claims(session);
  const store::ImageRecord image =
      TRY(claimed_image(session, request.image, claims, objects_to_read));
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
  TRY(check_digest(session, TRY(image::disk_digest(file.get())), image.disk_digest)
          .context(image.reference()));
  wanted.source.disk = disk.path;
  wanted.source.architecture = find_string(image.details, "architecture").value_or("amd64");
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

namespace {
/// Open at its start; its name is gone already, so that nobody's death leaves it behind.
Result<system::UniqueFd> whole_disk(Session& session, const std::string& image) {
  const build::WorkDirectory work = TRY(build::WorkDirectory::make(session.home.root()));
  // zlib: hosts of a cloud may be older than QEMU's zstd.
  const ExportRequest wanted{image, "qcow2", work.path() / "disk.qcow2", {{"compression", "zlib"}}};
  TRY(export_image(session, wanted));
  return system::open_file(wanted.output, O_RDONLY);
}

/// The kernel that the image's boot loader would start, by the links that the distribution keeps in
/// / (Debian) or in /boot (Ubuntu). Errors: not_found.
Result<void> take_kernel(Session& session,
                         const DiskParts& parts,
                         const std::filesystem::path& kernel,
                         const std::filesystem::path& initrd) {
  build::OverlaySandbox tree(
      {.layers = TRY(layer_trees(session, parts.layers)), .epoch = parts.epoch});
  auto found = tree.read("/vmlinuz");
  const std::string place = found ? "" : "/boot";
  if (!found) {
    found = tree.read("/boot/vmlinuz");
  }
  TRY(system::write_file(kernel, TRY(std::move(found)), 0600));
  return system::write_file(initrd, TRY(tree.read(place + "/initrd.img")), 0600);
}

/// The user whose are keys that name nobody.
Result<std::string> first_user(const store::ImageRecord& image) {
  const recipe::Recipe recipe = TRY(recipe_of(image));
  for (const recipe::User& user : recipe.baseline.users.value_or(std::vector<recipe::User>{})) {
    if (user.sudo && user.name != "root") {
      return user.name;
    }
  }
  return std::string("root");
}

/// What the image says of itself.
Result<void> fill_in(Session& session, launch::LaunchRequest& request, Claims& claims) {
  const store::ImageRecord image =
      TRY(claimed_image(session, request.image, claims, objects_to_launch));
  request.image = image.reference();
  request.image_digest = image.digest.hex();
  request.disk = TRY(disk_of(session, image));
  request.disk_digest = image.disk_digest.text();
  request.first_user = TRY(first_user(image));
  const DiskParts parts = TRY(parts_of(image));
  request.kernel_boot = {
      "root=LABEL=" + parts.layout.find(image::Role::root)->label + " ro " +
          image::kernel_arguments(parts.layout),
      [&session, parts](const std::filesystem::path& kernel, const std::filesystem::path& initrd) {
        return take_kernel(session, parts, kernel, initrd);
      }};
  request.whole_disk = [&session, name = request.image] { return whole_disk(session, name); };
  return {};
}
}  // namespace

Result<launch::Fleet> launch_image(Session& session,
                                   launch::LaunchRequest request,
                                   const launch::Progress& progress) {
  Claims claims(session);
  TRY(fill_in(session, request, claims));
  return launch::launch(session.home.root(), request, progress);
}

Result<launch::Warmth> warm_image(Session& session, launch::LaunchRequest request) {
  Claims claims(session);
  TRY(fill_in(session, request, claims));
  return launch::warm(session.home.root(), request);
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
               {"backing", Json::array()},
               {"created", image.created}};
  const auto files = qcow2::chain_of(session.home.disk(image.digest));
  for (std::size_t below = 1; below < files.size(); ++below) {
    json["backing"].push_back(files[below].string());
  }
  for (const char* key : {"os",
                          "architecture",
                          "parent",
                          "disk_used_bytes",
                          "qcow2_bytes",
                          "stored_bytes",
                          "build_seconds",
                          "steps",
                          "layers",
                          "recipe_file"}) {
    json[key] = value(key);
  }
  json["tested"] = tested(details);
  return json;
}

namespace {
/// Bytes in the store by layer; nothing for what is gone.
Result<std::map<std::string, std::uint64_t>> sizes_of_layers(Session& session,
                                                             const store::ImageRecord& image) {
  const auto layers = TRY(layers_of(image));
  std::vector<std::string> names;
  names.reserve(layers.size());
  for (const Digest& layer : layers) {
    names.push_back(layer.hex());
  }
  const auto sizes = TRY(build::measure_each_guest_tree(session.home.trees(), names));
  std::map<std::string, std::uint64_t> by_layer;
  for (std::size_t index = 0; index < sizes.size(); ++index) {
    if (sizes[index]) {
      by_layer[layers[index].text()] = sizes[index]->value;
    }
  }
  return by_layer;
}

/// From the base on.
Json steps_of_line(const std::vector<store::ImageRecord>& line,
                   const std::map<std::string, std::uint64_t>& sizes) {
  Json all = Json::array();
  for (auto image = line.rbegin(); image != line.rend(); ++image) {
    const Json* steps = find_value(image->details, "steps");
    for (Json step : steps == nullptr ? Json::array() : *steps) {
      const auto size = sizes.find(find_string(step, "layer").value_or(""));
      step["image"] = image->reference();
      step["bytes"] = size == sizes.end() ? Json() : Json(size->second);
      all.push_back(std::move(step));
    }
  }
  return all;
}

std::vector<std::string> packages_beside(const store::ImageRecord& image,
                                         const store::ImageRecord& parent) {
  std::vector<std::string> own;
  const Json* packages = find_value(image.details, "packages");
  const Json* inherited = find_value(parent.details, "packages");
  if (packages == nullptr || inherited == nullptr) {
    return own;
  }
  for (const auto& [name, version] : packages->items()) {
    const Json* before = find_value(*inherited, name);
    if (before == nullptr || *before != version) {
      own.push_back(name);
    }
  }
  return own;
}
}  // namespace

Result<Json> tell_reports(Session& session,
                          const store::ImageRecord& image,
                          std::string_view tool) {
  Json reports = Json::array();
  const auto line = TRY(line_of(session, image));
  for (auto member = line.rbegin(); member != line.rend(); ++member) {
    const Json* own = find_value(member->details, "reports");
    for (Json report : own == nullptr ? Json::array() : *own) {
      if (tool.empty() || find_string(report, "tool") == tool) {
        report["image"] = member->reference();
        reports.push_back(std::move(report));
      }
    }
  }
  return Json{{"image", image.reference()}, {"reports", std::move(reports)}};
}

Result<Json> tell_image(Session& session, const store::ImageRecord& image) {
  const auto line = TRY(line_of(session, image));
  const auto sizes = TRY(sizes_of_layers(session, image));
  Json story = describe_image(session, image);
  story["lineage"] = Json::array();
  for (const store::ImageRecord& member : line) {
    story["lineage"].push_back(member.reference());
  }
  story["all_steps"] = steps_of_line(line, sizes);
  const auto sum_of = [&sizes](const store::ImageRecord& member) {
    std::uint64_t sum = 0;
    for (const std::string& layer : find_strings(member.details, "layers")) {
      const auto size = sizes.find(layer);
      sum += size == sizes.end() ? 0 : size->second;
    }
    return sum;
  };
  story["layer_bytes"] = sum_of(image);
  story["shared_bytes"] = line.size() > 1 ? sum_of(line[1]) : 0;
  story["own_packages"] =
      line.size() > 1 ? packages_beside(image, line[1]) : std::vector<std::string>();
  return story;
}

Result<void> check_removable(Session& session,
                             const store::ImageName& image,
                             const std::set<Digest>& gone,
                             Overdue overdue) {
  const Digest digest = image.digest.value_or(Digest());
  for (const store::ImageName& child : TRY(session.catalogue.children_of(digest))) {
    if (!child.digest || !gone.contains(*child.digest)) {
      return Error{ErrorKind::conflict,
                   image.reference() + " is what " + child.reference() + " stands on",
                   "remove that first"};
    }
  }
  const auto claimed = TRY(living_claims(session));
  const bool is_launched = claimed.contains(session.home.name_of(session.home.snapshots(digest)));
  if (is_launched || claimed.contains(session.home.name_of(session.home.blob(digest)))) {
    return Error{
        ErrorKind::conflict,
        image.reference() + (is_launched ? " is being launched"
                                         : " is needed by a build, test or export that runs"),
        "wait until that has ended"};
  }
  for (const launch::Instance& instance : launch::recorded(session.home.root())) {
    if (overdue == Overdue::goes && launch::is_over(instance)) {
      continue;
    }
    const bool unknown = launch::is_damaged(instance);
    if (unknown || instance.image == image.reference()) {
      return Error{ErrorKind::conflict,
                   "instance " + instance.name + (unknown ? " may be" : " is") + " linked to " +
                       image.reference(),
                   "remove it first: goldmill rm " + instance.name};
    }
  }
  return {};
}

void remove_overdue(Session& session) {
  std::vector<std::string> names;
  for (const launch::Instance& instance : launch::recorded(session.home.root())) {
    if (launch::is_over(instance)) {
      names.push_back(instance.name);
    }
  }
  launch::remove(session.home.root(), names, [](const std::string& /*name*/, const auto&) {});
}

namespace {
/// One whose row is damaged can be removed like any other.
Result<store::ImageName> name_of_version(Session& session, const store::ImageReference& version) {
  for (const store::DamagedImage& image : TRY(session.catalogue.damaged_images())) {
    if (image.name == version.name && image.version == version.version) {
      return store::ImageName{image.name, image.version, image.digest};
    }
  }
  return TRY(session.catalogue.find_image(version)).version_name();
}

/// Unless another image or a build that runs needs it: `gc` comes for it later.
Result<void> remove_disk(Session& session, const Digest& image) {
  const auto disk = session.home.disk(image);
  const std::string object = session.home.name_of(disk);
  const Holdings holdings = TRY(holdings_of_images(session));
  bool is_needed = holdings.objects.contains(object) || !holdings.untold.empty();
  for (const auto& [owner, claimed] : TRY(session.catalogue.claims())) {
    is_needed |= claimed == object;
  }
  if (!is_needed) {
    std::error_code ignored;
    std::filesystem::remove(disk, ignored);
    TRY(system::remove_tree(session.home.snapshots(image)));
  }
  return {};
}
}  // namespace

Result<void> remove_image(Session& session, const store::ImageReference& version) {
  const store::ImageName image = TRY(name_of_version(session, version));
  remove_overdue(session);
  TRY(session.catalogue.remove_image(image, [&] { return check_removable(session, image); }));
  TRY(image.digest ? remove_disk(session, *image.digest) : Result<void>());
  TRY(system::remove_tree(session.home.evidence(image.name, image.version)));
  return refresh_index(session);
}

}  // namespace goldmill::factory
