// SPDX-License-Identifier: GPL-3.0-or-later
#include "image_build.hpp"

#include <algorithm>
#include <future>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/build/overlay_sandbox.hpp>
#include <goldmill/build/seal.hpp>
#include <goldmill/exporter/exporter.hpp>
#include <goldmill/image/digest.hpp>
#include <goldmill/image/disk.hpp>
#include <goldmill/provision/provision.hpp>
#include <goldmill/recipe/snapshot.hpp>
#include <goldmill/system/file.hpp>

#include "assembly.hpp"
#include "stopwatch.hpp"

namespace goldmill::factory {

namespace {

/// A file that another process may not have: the empty text then.
Result<std::string> read_or_empty(plan::Sandbox& sandbox, std::string_view path) {
  auto text = sandbox.read(path);
  if (!text && text.error().kind == ErrorKind::not_found) {
    return std::string();
  }
  return text;
}

std::vector<Digest> digests_at(const Json& object, std::string_view key) {
  std::vector<Digest> digests;
  for (const std::string& text : find_strings(object, key)) {
    if (const auto digest = Digest::parse(text)) {
      digests.push_back(*digest);
    }
  }
  return digests;
}

Json texts(const std::vector<Digest>& digests) {
  Json list = Json::array();
  for (const Digest& digest : digests) {
    list.push_back(digest.text());
  }
  return list;
}

/// " (+added -gone)", by what is asked for; "" when other things than packages differ.
std::string changed_wishes(const LockFile& lock, const Json& wishes) {
  const auto words = [](const Json& requests) {
    std::set<std::string> all;
    const Json* install = find_value(requests, "install");
    for (const Json& entry : install == nullptr ? Json::array() : *install) {
      const std::string version = find_string(entry, "version").value_or("");
      all.insert(find_string(entry, "name").value_or("") + find_string(entry, "file").value_or("") +
                 (version.empty() ? "" : "=" + version));
    }
    return all;
  };
  const auto before = words(lock.requests);
  const auto now = words(wishes);
  std::string text;
  for (const std::string& word : now) {
    text += before.contains(word) ? "" : " +" + word;
  }
  for (const std::string& word : before) {
    text += now.contains(word) ? "" : " -" + word;
  }
  return text.empty() ? "" : " (" + text.substr(1) + ")";
}

/// Whose files the recipe says, one by one or as packages; a script's it does not.
bool declares_files(std::string_view kind) {
  return !kind.starts_with("provision.") || kind == "provision.files";
}

/// The files of keys that the recipe named: the only ones that may be in an image.
std::vector<std::string> named_keys(const recipe::Recipe& merged) {
  std::vector<std::string> paths;
  for (const recipe::User& user : merged.baseline.users.value_or(std::vector<recipe::User>())) {
    if (!user.ssh_keys.empty()) {
      paths.push_back((user.name == "root" ? "root" : "home/" + user.name) +
                      "/.ssh/authorized_keys");
    }
  }
  return paths;
}

}  // namespace

Result<ImageBuild> ImageBuild::prepare(Session& session,
                                       const BuildRequest& request,
                                       Subject subject) {
  GOLDMILL_ASSERT(subject.merged.os.has_value());
  auto family = TRY(guest::DebianFamily::open(
      *subject.merged.os,
      {session.home.root(), request.update ? guest::Refresh::always : guest::Refresh::if_missing}));
  auto layout = TRY(image::Layout::make(
      subject.merged.disk.value_or(recipe::Disk{}), *subject.merged.os, subject.merged.hardware));
  ImageBuild build(session, request, std::move(subject), std::move(family), std::move(layout));
  TRY(build.give_files());
  TRY(build.pin().context("packages of " + build.subject_->own.name));
  return build;
}

guest::RecipeView ImageBuild::view() const {
  const recipe::Recipe* parent = subject_->parent ? &subject_->parent->merged : nullptr;
  return {subject_->own, subject_->merged, parent};
}

std::vector<Digest> ImageBuild::parent_layers() const {
  return subject_->parent ? digests_at(subject_->parent->record.details, "layers")
                          : std::vector<Digest>();
}

/// Decides on exact packages: as the lock says, or anew when there is none or it means another
/// wish or another parent. Accounts keep the ids of the lock that was there in any case.
Result<void> ImageBuild::pin() {
  if (subject_->parent) {
    const auto blob =
        Digest::parse(find_string(subject_->parent->record.details, "dpkg_status").value_or(""));
    parent_status_ = TRY(session_->home.get_blob(TRY(Result<Digest>(blob))));
  }
  const auto file = LockFile::path_for(subject_->own.file);
  auto old = TRY(LockFile::find(file));
  const Json wishes = TRY(family_->wishes(view()));
  const std::string why = old ? why_stale(*old, wishes) : "is not there";
  if (why.empty() && !request_->update) {
    return use_lock(*std::move(old));
  }
  if (request_->locked) {
    return Error{ErrorKind::conflict,
                 file.filename().string() + " " + why + ", and --locked resolves nothing",
                 "goldmill lock " + subject_->own.file.filename().string() +
                     " decides on packages without building"};
  }
  if (old && !request_->update) {
    session_->observer.note(file.filename().string() + " " + why + ": packages are resolved again");
  }
  return resolve(wishes, old);
}

/// Why a lock does not say what this build needs; "" when it does.
std::string ImageBuild::why_stale(const LockFile& lock, const Json& wishes) const {
  if (lock.recipe != subject_->own.name) {
    return "is of the recipe '" + lock.recipe + "'";
  }
  const auto parent =
      subject_->parent ? std::optional(subject_->parent->record.digest) : std::nullopt;
  if (lock.parent != parent) {
    return parent ? "is of another " + subject_->own.from : "is of a variant";
  }
  return lock.requests == wishes ? "" : "is of other wishes" + changed_wishes(lock, wishes);
}

Result<void> ImageBuild::use_lock(LockFile lock) {
  const std::string file = LockFile::path_for(subject_->own.file).string();
  lock_ = std::move(lock);
  pinned_.packages = TRY(guest::resolution_from_json(lock_.packages).context(file));
  if (!lock_.tools.is_null()) {
    pinned_.tools = TRY(guest::resolution_from_json(lock_.tools).context(file));
  }
  pinned_.accounts = lock_.accounts;
  return {};
}

Result<void> ImageBuild::resolve(const Json& wishes, const std::optional<LockFile>& old) {
  guest::ParentPackages parent{parent_status_, {}};
  if (subject_->parent) {
    const auto blob = Digest::parse(
        find_string(subject_->parent->record.details, "extended_states").value_or(""));
    parent.extended_states = TRY(session_->home.get_blob(TRY(Result<Digest>(blob))));
  }
  const bool only_some = old && request_->update && !request_->update_only.empty();
  pinned_ = TRY(family_->resolve(
      view(),
      parent,
      only_some ? TRY(versions_to_keep(*old)) : std::map<std::string, std::string>(),
      [this](std::string_view phase, std::uint64_t done, std::uint64_t total) {
        session_->observer.step_progress(phase, done, total);
      }));
  lock_ = LockFile{};
  if (old && old->recipe == subject_->own.name) {
    pinned_.accounts = lock_.accounts = old->accounts;
  }
  lock_.recipe = subject_->own.name;
  lock_.requests = wishes;
  lock_.packages = guest::to_json(pinned_.packages);
  lock_.epoch = pinned_.packages.epoch;
  if (subject_->parent) {
    lock_.parent = subject_->parent->record.digest;
    lock_.epoch =
        std::max(lock_.epoch, find_integer(subject_->parent->record.details, "epoch").value_or(0));
  } else {
    lock_.tools = guest::to_json(pinned_.tools);
  }
  return {};
}

/// The locked packages but for those that are to move.
Result<std::map<std::string, std::string>> ImageBuild::versions_to_keep(const LockFile& old) const {
  auto keep = old.versions();
  for (const std::string& name : request_->update_only) {
    if (keep.erase(name) == 0) {
      std::vector<std::string> names;
      for (const auto& [known, version] : old.versions()) {
        names.push_back(known);
      }
      return Error{ErrorKind::not_found,
                   "no package '" + name + "' is locked for " + subject_->own.name,
                   did_you_mean(name, names)};
    }
  }
  return keep;
}

std::map<std::string, std::string> ImageBuild::installed() const {
  auto packages = guest::installed_packages(parent_status_);
  for (const guest::PackageFile& package : pinned_.packages.packages) {
    packages[package.name] = package.version;
  }
  for (const std::string& removed : pinned_.packages.removed) {
    packages.erase(removed.substr(0, removed.find(':')));
  }
  return packages;
}

guest::GivenFiles ImageBuild::parent_given() const {
  if (!subject_->parent) {
    return {};
  }
  const Json& details = subject_->parent->record.details;
  return {find_string(details, "fstab").value_or(""),
          find_string(details, "apt_sources").value_or("")};
}

/// The archives of the guest's own apt are the parent's, unless the recipe says others.
Result<void> ImageBuild::give_files() {
  given_.fstab = image::fstab_text(layout_);
  const bool inherits = subject_->parent && subject_->own.apt_sources.empty();
  given_.apt_sources =
      inherits ? parent_given().apt_sources : TRY(family_->guest_sources(subject_->merged));
  return {};
}

Result<std::vector<plan::Step>> ImageBuild::steps() const {
  auto family_steps =
      TRY(family_->steps(view(),
                         {.pinned = pinned_,
                          .given = given_,
                          .parent_given = parent_given(),
                          .installed = installed(),
                          .parent_installed = guest::installed_packages(parent_status_)}));
  std::vector<plan::Step> steps = std::move(family_steps.before);
  for (plan::Step& step : TRY(provision::make_steps(subject_->own))) {
    steps.push_back(std::move(step));
  }
  for (plan::Step& step : family_steps.after) {
    steps.push_back(std::move(step));
  }
  for (plan::Step& step : steps) {
    if (step.produces == plan::Produces::layer) {
      step.inputs["epoch"] = std::to_string(lock_.epoch);  // every time stamp is cut to it
    }
  }
  return steps;
}

Result<plan::Plan> ImageBuild::plan() {
  CatalogueHistory history(*session_);
  return plan::make_plan(subject_->own.name, TRY(steps()), parent_layers(), history);
}

Result<ImageReport> ImageBuild::run() {
  plan::Plan plan = TRY(this->plan());
  const auto finished = plan.is_done() ? TRY(find_finished(plan)) : std::nullopt;
  if (finished && has_disk(*finished)) {
    TRY(write_lock());
    return unchanged(plan, *finished);
  }
  Claims claims(*session_);
  const auto kinds = family_->kinds(view(), pinned_);
  StepRunner runner(*session_, claims, plan.image, lock_.epoch, [&kinds](const std::string& name) {
    const auto found = std::find_if(
        kinds.begin(), kinds.end(), [&](const auto& kind) { return kind->name() == name; });
    return found == kinds.end() ? provision::find_kind(name) : found->get();
  });
  runner.set_shell_on_failure(request_->shell_on_failure);
  for (const plan::PlannedStep& planned : plan.steps) {
    TRY(planned.done ? Result<void>() : provision::check_ready(planned.step));
  }
  ImageReport report;
  TRY(claim_layers(claims, plan));
  TRY(run_steps(runner, claims, plan, report));
  TRY(write_lock());
  TRY(finish(runner, claims, plan, report));
  return report;
}

ImageReport ImageBuild::unchanged(const plan::Plan& plan, const store::ImageRecord& image) {
  ImageReport report{image, {}};
  for (const plan::PlannedStep& planned : plan.steps) {
    report.steps.push_back({planned.step.name, planned.done->key.text(), false, 0});
  }
  report.steps.push_back({"disk", image.digest.text(), false, 0});
  return report;
}

std::string ImageBuild::name_of_result(const plan::DoneStep& done) const {
  return session_->home.name_of(done.layer ? session_->home.tree(*done.layer)
                                           : session_->home.assets(done.key));
}

/// What this build takes over, before it is looked for again: run_steps() runs what has gone.
Result<void> ImageBuild::claim_layers(Claims& claims, const plan::Plan& plan) const {
  std::vector<std::string> objects;
  for (const Digest& layer : plan.parent_layers) {
    objects.push_back(session_->home.name_of(session_->home.tree(layer)));
  }
  for (const plan::PlannedStep& planned : plan.steps) {
    if (planned.done) {
      objects.push_back(name_of_result(*planned.done));
    }
  }
  return claims.add(objects);
}

Result<void> ImageBuild::run_steps(StepRunner& runner,
                                   Claims& claims,
                                   plan::Plan& plan,
                                   ImageReport& report) {
  CatalogueHistory history(*session_);
  layers_ = plan.parent_layers;
  for (plan::PlannedStep& planned : plan.steps) {
    const Digest key = plan::key_of(planned.step, plan::parents_of(planned.step, layers_));
    auto done = TRY(history.find(key));
    if (done && !planned.done) {  // found only now, on layers that turned out equal
      TRY(claims.add({name_of_result(*done)}));
      done = TRY(history.find(key));
    }
    const bool runs = !done.has_value();
    if (runs) {
      session_->observer.step_started(plan.image, planned.step.name, planned.reason);
      done = TRY(runner.run(planned.step, layers_));
      session_->observer.step_ended(planned.step.name, "ran", done->seconds);
    }
    report.steps.push_back({planned.step.name, key.text(), runs, runs ? done->seconds : 0});
    if (planned.step.kind == "debian.packages") {
      TRY(adopt_accounts(runner, *done));
    }
    planned.done = std::move(done);
    keep_result(*planned.done);
  }
  return {};
}

void ImageBuild::keep_result(const plan::DoneStep& done) {
  if (done.layer) {
    layers_.push_back(*done.layer);
  } else {
    assets_ = done.key;
  }
}

/// The accounts that configuring made go into the lock, and the step counts as done under the key
/// that it has with them: see docs/decisions/0004.
Result<void> ImageBuild::adopt_accounts(StepRunner& runner, const plan::DoneStep& done) {
  const Json* accounts = find_value(done.result, "accounts");
  if (accounts == nullptr || *accounts == pinned_.accounts) {
    return {};
  }
  pinned_.accounts = *accounts;
  lock_.accounts = *accounts;
  for (const plan::Step& step : TRY(steps())) {
    if (step.kind == "debian.packages") {
      runner.record(step, parent_layers(), done);
    }
  }
  return {};
}

Result<void> ImageBuild::write_lock() const {
  return lock_.write(LockFile::path_for(subject_->own.file)).context("cannot write the lock file");
}

/// The image by what it is made of: its config and digest.
Result<store::ImageRecord> ImageBuild::identify() {
  if (subject_->parent) {
    assets_ =
        TRY(Digest::parse(find_string(subject_->parent->record.details, "assets").value_or("")));
  }
  image::ImageFacts facts{.name = subject_->own.name,
                          .epoch = lock_.epoch,
                          .diff_ids = layers_,
                          .history = {},
                          .layout = layout_,
                          .lock = lock_.digest(),
                          .parent = lock_.parent,
                          .labels = {}};
  store::ImageRecord record;
  record.name = subject_->own.name;
  record.config = image::oci_config(facts);
  record.digest = image::image_digest(record.config);
  return record;
}

Result<std::optional<store::ImageRecord>> ImageBuild::find_finished(const plan::Plan& plan) {
  GOLDMILL_ASSERT(plan.is_done());
  layers_ = plan.parent_layers;
  for (const plan::PlannedStep& planned : plan.steps) {
    keep_result(*planned.done);
  }
  const store::ImageRecord image = TRY(identify());
  auto known = TRY(session_->catalogue.find_image_by_digest(image.digest));
  return known && known->name == image.name ? std::move(known) : std::nullopt;
}

bool ImageBuild::has_disk(const store::ImageRecord& image) const {
  std::error_code ignored;
  return std::filesystem::exists(session_->home.disk(image.digest), ignored);
}

plan::PlannedStep ImageBuild::plan_disk(const plan::Plan& plan,
                                        const std::optional<store::ImageRecord>& finished) const {
  plan::PlannedStep disk;
  disk.step.name = "disk";
  disk.step.kind = "disk";
  const auto runs = std::find_if(
      plan.steps.begin(), plan.steps.end(), [](const auto& planned) { return !planned.done; });
  if (runs != plan.steps.end()) {
    disk.reason = runs->step.name + " runs before it";
  } else if (!finished) {
    disk.reason = "new";
  } else if (!has_disk(*finished)) {
    disk.reason = "its disk is gone";
  } else {
    disk.done = plan::DoneStep{finished->digest, {}, {}, {}, 0};
  }
  if (finished) {
    disk.key = finished->digest;
  }
  return disk;
}

Result<void> ImageBuild::finish(StepRunner& runner,
                                Claims& claims,
                                const plan::Plan& plan,
                                ImageReport& report) {
  store::ImageRecord record = TRY(identify());
  const auto known = TRY(session_->catalogue.find_image_by_digest(record.digest));
  if (known && known->name == record.name && has_disk(record)) {
    TRY(runner.settle());
    report.image = *known;
    report.steps.push_back({"disk", record.digest.text(), false, 0});
    return {};
  }
  TRY(claims.add({session_->home.name_of(session_->home.disk(record.digest)),
                  session_->home.name_of(session_->home.blob(record.digest))}));
  const Stopwatch stopwatch;
  session_->observer.step_started(record.name, "disk", known ? "its disk is gone" : "new");
  // Both read the finished layers, and neither keeps all cores busy.
  auto details = std::async(std::launch::async, [&] { return this->details(plan); });
  TRY(make_disk(record));
  record.details.update(TRY(details.get()));
  const double seconds = stopwatch.seconds();
  report.steps.push_back({"disk", record.digest.text(), true, seconds});
  session_->observer.step_ended("disk", "ran", seconds);
  double total = 0;
  for (const StepReport& step : report.steps) {
    total += step.seconds;
  }
  record.details["build_seconds"] = total;
  TRY(session_->home.put_blob(canonical(record.config)));
  TRY(runner.settle());
  report.image = TRY(session_->catalogue.add_image(std::move(record)));
  return {};
}

Result<void> ImageBuild::make_disk(store::ImageRecord& record) {
  AssembledDisk disk = TRY(assemble_disk(*session_, {layers_, assets_, layout_, lock_.epoch}));
  session_->observer.step_progress("digest", 0, 0);
  {
    const system::UniqueFd file = TRY(system::open_file(disk.path, O_RDONLY));
    record.disk_digest = TRY(image::disk_digest(file.get()));
  }
  exporter::Export qcow2;
  qcow2.source.disk = disk.path;
  qcow2.hardware = layout_.hardware;
  qcow2.format = "qcow2";
  qcow2.output = session_->home.disk(record.digest);
  qcow2.progress.show = [this](std::uint64_t done, std::uint64_t total) {
    session_->observer.step_progress("compress", done, total);
  };
  qcow2.progress.is_cancelled = [this] { return session_->observer.is_cancelled(); };
  TRY(exporter::export_image(qcow2));
  record.details["disk_used_bytes"] = disk.used.value;
  record.details["qcow2_bytes"] = std::filesystem::file_size(qcow2.output);
  return {};
}

std::vector<Digest> ImageBuild::declared_layers(const plan::Plan& plan) const {
  std::vector<Digest> layers = subject_->parent
                                   ? digests_at(subject_->parent->record.details, "declared_layers")
                                   : std::vector<Digest>();
  for (const plan::PlannedStep& planned : plan.steps) {
    if (planned.done->layer && declares_files(planned.step.kind)) {
      layers.push_back(*planned.done->layer);
    }
  }
  return layers;
}

/// What must not be in an image and is: [{"rule", "path", "layer"}].
Result<Json> ImageBuild::check_seal(const std::vector<Digest>& declared) const {
  std::vector<build::ImageLayer> layers;
  const auto trees = TRY(layer_trees(*session_, layers_));
  layers.reserve(trees.size());
  for (std::size_t index = 0; index < trees.size(); ++index) {
    layers.push_back(
        {trees[index],
         std::find(declared.begin(), declared.end(), layers_[index]) != declared.end()});
  }
  Json findings = Json::array();
  for (const build::Finding& finding :
       TRY(build::check_image(layers, named_keys(subject_->merged)))) {
    findings.push_back({{"rule", finding.rule}, {"path", finding.path}, {"layer", finding.layer}});
  }
  return findings;
}

/// What the catalogue keeps beside the config: enough to show, test, launch and build on it.
Result<Json> ImageBuild::details(const plan::Plan& plan) const {
  build::OverlaySandbox tree(
      {.layers = TRY(layer_trees(*session_, layers_)), .epoch = lock_.epoch});
  const std::string status = TRY(tree.read("/var/lib/dpkg/status"));
  const std::string states = TRY(read_or_empty(tree, "/var/lib/apt/extended_states"));
  Json packages = Json::object();
  for (const auto& [name, version] : guest::installed_packages(status)) {
    packages[name] = version;
  }
  Json steps = Json::array();
  for (const plan::PlannedStep& planned : plan.steps) {
    steps.push_back({{"name", planned.step.name},
                     {"kind", planned.step.kind},
                     {"layer", planned.done->layer ? Json(planned.done->layer->text()) : Json()},
                     {"seconds", planned.done->seconds}});
  }
  const std::vector<Digest> declared = declared_layers(plan);
  const auto& os = *subject_->merged.os;
  return Json{
      {"recipe_file", subject_->own.file.string()},
      {"recipe", recipe::to_snapshot(subject_->merged)},
      {"os", os.family + "/" + os.release},
      {"architecture", os.architecture},
      {"epoch", lock_.epoch},
      {"parent", subject_->parent ? Json(subject_->parent->record.reference()) : Json()},
      {"parent_digest", subject_->parent ? Json(subject_->parent->record.digest.text()) : Json()},
      {"layers", texts(layers_)},
      {"steps", std::move(steps)},
      {"packages", std::move(packages)},
      {"assets", assets_.text()},
      {"layout", layout_.to_json()},
      {"fstab", given_.fstab},
      {"apt_sources", given_.apt_sources},
      {"declared_layers", texts(declared)},
      {"seal", TRY(check_seal(declared))},
      {"dpkg_status", TRY(session_->home.put_blob(status)).text()},
      {"extended_states", TRY(session_->home.put_blob(states)).text()}};
}

}  // namespace goldmill::factory
