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
#include <goldmill/factory/lock_recipe.hpp>
#include <goldmill/image/digest.hpp>
#include <goldmill/image/disk.hpp>
#include <goldmill/plan/difference.hpp>
#include <goldmill/provision/provision.hpp>
#include <goldmill/recipe/snapshot.hpp>
#include <goldmill/system/file.hpp>

#include "account_ids.hpp"
#include "assembly.hpp"
#include "booted_step.hpp"
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

std::optional<Digest> digest_if_there(const std::filesystem::path& file) {
  const auto digest = system::digest_of(file);
  return digest ? std::optional(*digest) : std::nullopt;
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
      const std::string content = find_string(entry, "sha256").value_or("");
      all.insert(find_string(entry, "name").value_or("") + find_string(entry, "file").value_or("") +
                 (version.empty() ? "" : "=" + version) +
                 (content.empty() ? "" : " of " + content.substr(0, 7 + 12)));
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

/// The order in which packages are asked for means nothing.
Json without_order(Json wishes) {
  for (const char* list : {"install", "remove", "step_tools"}) {
    if (const auto found = wishes.find(list); found != wishes.end() && found->is_array()) {
      std::sort(found->begin(), found->end());
    }
  }
  return wishes;
}

/// Whether the lock is from these archives: other ones are there for their other versions. A
/// lock that did not note them has them with their keys only.
bool has_archives(const LockFile& lock, const Json& wishes, const Json& archives) {
  const auto with_keys = [](const Json& requests) {
    const Json* found = find_value(requests, "repositories");
    return found == nullptr ? Json() : *found;
  };
  return lock.archives.is_array() ? lock.archives == archives
                                  : with_keys(lock.requests) == with_keys(wishes);
}

/// The versions of what a step uses from outside become part of its key: of the packages that it
/// names, for people, and of all that these need.
void add_tools(plan::Step& step, const guest::Resolution& resolution) {
  if (step.tools.empty()) {
    return;
  }
  std::string all;
  for (const guest::PackageFile& package : resolution.packages) {
    all += package.sha256 + "\n";
    if (step.tools.contains(package.name)) {
      step.inputs[package.name] = package.version;
    }
  }
  step.inputs["tools"] = sha256(all).text();
}

/// Tools that were collected are not made again for steps that are done.
void leave_out_unused_tools(plan::Plan& plan) {
  const bool used =
      std::any_of(plan.steps.begin(), plan.steps.end(), [](const plan::PlannedStep& planned) {
        return !planned.step.tools.empty() && !planned.done;
      });
  std::erase_if(plan.steps, [used](const plan::PlannedStep& planned) {
    return planned.step.produces == plan::Produces::tools && !planned.done && !used;
  });
}

/// Whose files the recipe says, one by one or as packages; a script's it does not.
bool declares_files(const plan::Step& step) {
  if (step.kind == "provision.cloud_config") {
    return find_value(step.options.at("config"), "runcmd") == nullptr;
  }
  return !step.kind.starts_with("provision.") || step.kind == "provision.files";
}

/// The keys of users whom cloud-config documents of this recipe name.
void add_cloud_keys(const recipe::Recipe& own, std::vector<std::string>& paths) {
  for (const recipe::ProvisionStep& step : own.provision) {
    const auto* cloud = std::get_if<recipe::CloudConfigStep>(&step.action);
    const Json* users = cloud == nullptr ? nullptr : find_value(cloud->config, "users");
    for (const Json& user : users == nullptr ? Json::array() : *users) {
      const std::string home =
          find_string(user, "homedir").value_or("/home/" + user.value("name", ""));
      if (!find_strings(user, "keys").empty()) {
        paths.push_back(home.substr(home.find_first_not_of('/')) + "/.ssh/authorized_keys");
      }
    }
  }
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
      {.home = session.home.root(),
       .refresh = request.update ? guest::Refresh::always : guest::Refresh::if_missing,
       .kept = LockFile::kept_path_for(subject.own.file),
       .note = [&session](std::string_view line) { session.observer.note(line); }}));
  auto layout = TRY(image::Layout::make(
      subject.merged.disk.value_or(recipe::Disk{}), *subject.merged.os, subject.merged.hardware));
  ImageBuild build(session, request, std::move(subject), std::move(family), std::move(layout));
  TRY(build.give_files());
  TRY(build.pin().context("packages of " + build.subject_->own.name));
  return build;
}

guest::RecipeView ImageBuild::view() const {
  const recipe::Recipe* parent = subject_->parent ? &subject_->parent->merged : nullptr;
  return {subject_->own, subject_->merged, parent, provision::tools_of(subject_->own)};
}

plan::Parent ImageBuild::parent() const {
  if (!subject_->parent) {
    return {};
  }
  const store::ImageRecord& record = subject_->parent->record;
  return {record.reference(), digests_at(record.details, "layers")};
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
  lock_before_ = digest_if_there(file);
  auto old = TRY(LockFile::find(file));
  const Json wishes = TRY(family_->wishes(view()));
  const std::string why = old ? why_stale(*old, wishes) : "is not there";
  if (why.empty() && !request_->update) {
    TRY(use_lock(*std::move(old)));
    lock_.archives = guest::DebianFamily::archives(view());  // an older one has not noted them
    return {};
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
  TRY(resolve(wishes, old));
  if (old && old->recipe == subject_->own.name) {
    before_ = old->versions();
  }
  return {};
}

/// Of packages that were locked before and still are.
void ImageBuild::note_moves() const {
  std::string text;
  for (const Move& move : moves_between(before_, lock_.versions())) {
    if (!move.from.empty() && !move.to.empty()) {
      text += (text.empty() ? "" : ", ") + move.package + " " + move.from + " -> " + move.to;
    }
  }
  if (!text.empty()) {
    session_->observer.note("moved: " + text);
  }
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
  const bool same = without_order(lock.requests) == without_order(wishes);
  return same ? "" : "is of other wishes" + changed_wishes(lock, wishes);
}

Result<void> ImageBuild::use_lock(LockFile lock) {
  const std::string file = LockFile::path_for(subject_->own.file).string();
  lock_ = std::move(lock);
  pinned_ = TRY(lock_.pinned().context(file));
  return forget_gone_steps();
}

/// What steps discovered that the recipe no longer has.
Result<void> ImageBuild::forget_gone_steps() {
  if (lock_.step_packages.empty()) {
    return {};
  }
  Json left = Json::object();
  for (plan::Step& step : TRY(provision::make_steps(subject_->own))) {
    add_tools(step, pinned_.step_tools);
    const Json* same = locked_packages_of(step);
    const Json* entry = same != nullptr ? same : find_value(lock_.step_packages, step.name);
    if (entry != nullptr) {
      left[step.name] = *entry;
    }
  }
  lock_.step_packages = std::move(left);
  pinned_.step_packages = TRY(lock_.pinned()).step_packages;
  return {};
}

Result<void> ImageBuild::resolve(const Json& wishes, const std::optional<LockFile>& old) {
  guest::ParentPackages parent{parent_status_, {}};
  if (subject_->parent) {
    const auto blob = Digest::parse(
        find_string(subject_->parent->record.details, "extended_states").value_or(""));
    parent.extended_states = TRY(session_->home.get_blob(TRY(Result<Digest>(blob))));
  }
  // Only an update moves what nobody asks to move.
  const bool all_move = request_->update && request_->update_only.empty();
  const bool keeps = old && old->recipe == subject_->own.name && !all_move &&
                     has_archives(*old, wishes, guest::DebianFamily::archives(view()));
  pinned_ = TRY(
      family_->resolve(view(),
                       parent,
                       keeps ? TRY(versions_to_keep(*old)) : std::map<std::string, std::string>(),
                       [this](std::string_view phase, std::uint64_t done, std::uint64_t total) {
                         session_->observer.step_progress(phase, done, total);
                       }));
  lock_ = LockFile{};
  if (old && old->recipe == subject_->own.name) {
    pinned_.accounts = lock_.accounts = old->accounts;
    lock_.ids = old->ids;
    lock_.inputs = old->inputs;
    if (keeps) {
      lock_.step_packages = preferred_step_packages(*old);
    }
  }
  lock_.recipe = subject_->own.name;
  lock_.requests = wishes;
  lock_.archives = guest::DebianFamily::archives(view());
  lock_.packages = guest::to_json(pinned_.packages);
  lock_.epoch = pinned_.packages.epoch;
  if (subject_->parent) {
    lock_.parent = subject_->parent->record.digest;
    lock_.epoch =
        std::max(lock_.epoch, find_integer(subject_->parent->record.details, "epoch").value_or(0));
  } else {
    lock_.tools = guest::to_json(pinned_.tools);
  }
  if (!pinned_.step_tools.packages.empty()) {
    lock_.step_tools = guest::to_json(pinned_.step_tools);
  }
  return forget_gone_steps();
}

/// What steps discovered before, as a lock holds it: preferred when they look again, but for what
/// is to move.
Json ImageBuild::preferred_step_packages(const LockFile& old) const {
  const auto& moving = request_->update_only;
  Json preferred = Json::object();
  for (const auto& [step, entry] : old.step_packages.items()) {
    Json packages = entry.value("packages", Json::array());
    for (auto package = packages.begin(); package != packages.end();) {
      const std::string name = find_string(*package, "name").value_or("");
      const bool moves = std::find(moving.begin(), moving.end(), name) != moving.end();
      package = moves ? packages.erase(package) : package + 1;
    }
    preferred[step] = {{"declared", ""}, {"packages", std::move(packages)}};
  }
  return preferred;
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
  if (auto tools = family_->tools_step(pinned_)) {
    steps.push_back(*std::move(tools));
  }
  for (plan::Step& step : TRY(provision::make_steps(subject_->own))) {
    add_tools(step, pinned_.step_tools);
    steps.push_back(with_locked_packages(std::move(step)));
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

/// While a step says what it said when it discovered its packages, it gets these and no others.
plan::Step ImageBuild::with_locked_packages(plan::Step step) const {
  const Json* locked = locked_packages_of(step);
  if (locked == nullptr) {
    return step;
  }
  return plan::with_packages(std::move(step), locked->value("packages", Json::array()));
}

/// None may be what it discovered, too: then it needs no archive.
bool ImageBuild::has_locked_packages(const plan::Step& step) const {
  return locked_packages_of(step) != nullptr;
}

/// By what the step says: its name, which a file's name is part of, may have changed.
const Json* ImageBuild::locked_packages_of(const plan::Step& step) const {
  if (lock_.step_packages.empty()) {
    return nullptr;
  }
  const std::string declared = plan::declaration_of(step).text();
  const auto says_this = [&](const Json& entry) {
    return find_string(entry, "declared") == declared;
  };
  const Json* named = find_value(lock_.step_packages, step.name);
  if (named != nullptr && says_this(*named)) {
    return named;
  }
  const auto found =
      std::find_if(lock_.step_packages.begin(), lock_.step_packages.end(), says_this);
  return found == lock_.step_packages.end() ? nullptr : &*found;
}

/// What a step discovered goes into the lock, where later builds and other machines find it.
void ImageBuild::adopt_packages(const plan::Step& step, const plan::DoneStep& done) {
  const Json* packages = find_value(done.result, "discovered");
  if (packages == nullptr) {
    if (!has_locked_packages(step)) {  // it said something else when it got some
      lock_.step_packages.erase(step.name);
    }
    return;
  }
  lock_.step_packages[step.name] = {{"declared", plan::declaration_of(step).text()},
                                    {"packages", *packages}};
}

Result<plan::Plan> ImageBuild::plan() {
  CatalogueHistory history(*session_);
  auto plan = TRY(plan::make_plan(subject_->own.name, TRY(steps()), parent(), history));
  leave_out_unused_tools(plan);
  return plan;
}

Result<ImageReport> ImageBuild::run() {
  note_moves();
  plan::Plan plan = TRY(this->plan());
  TRY(adopt_inputs(plan));
  const auto finished = plan.is_done() ? TRY(find_finished(plan)) : std::nullopt;
  if (finished && has_disk(*finished)) {
    // None: it was built by a goldmill that did not note them.
    if (const Json* ids = find_value(finished->details, "ids")) {
      TRY(adopt_ids(*ids));
    }
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
  runner.set_layout(layout_);
  runner.set_door([this](const plan::Step& step, const std::filesystem::path& scratch) {
    const bool only_locked = request_->locked || has_locked_packages(step);
    return family_->door(view(), pinned_, {step.name, scratch, only_locked});
  });
  for (const plan::PlannedStep& planned : plan.steps) {
    if (planned.done) {
      continue;
    }
    TRY(provision::check_ready(planned.step));
    if (planned.step.boots) {
      TRY(BootedStep::check_possible(layout_).context(planned.step.asked_at + ": step '" +
                                                      planned.step.name + "'"));
    }
  }
  ImageReport report;
  TRY(claim_layers(claims, plan));
  TRY(run_steps(runner, claims, plan, report));
  ids_ = TRY(ids_on(layers_));
  TRY(adopt_ids(ids_));
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
  if (subject_->parent) {
    objects.push_back(session_->home.name_of(session_->home.blob(subject_->parent->record.digest)));
  }
  for (const plan::PlannedStep& planned : plan.steps) {
    if (planned.done) {
      objects.push_back(name_of_result(*planned.done));
    }
  }
  TRY(claims.add(objects));
  // From here on nobody removes the parent; before, somebody may have.
  if (subject_->parent &&
      !TRY(session_->catalogue.find_image_by_digest(subject_->parent->record.digest))) {
    return Error{ErrorKind::conflict,
                 subject_->parent->record.reference() + " was removed in the meantime",
                 "build it again: goldmill build " + subject_->own.file.string()};
  }
  return {};
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
      done = TRY(run_step(runner, planned.step));
      session_->observer.step_ended(planned.step.name, "ran", done->seconds);
    }
    report.steps.push_back({planned.step.name, key.text(), runs, runs ? done->seconds : 0});
    planned.done = std::move(done);
    TRY(adopt_accounts(runner, planned));
    TRY(runner.begin_to_settle());
    adopt_packages(planned.step, *planned.done);
    keep_result(planned);
    if (planned.step.produces == plan::Produces::tools) {
      runner.set_tools(*planned.done->layer);
    }
  }
  return {};
}

/// With --locked a step may install nothing that it did not install before.
Result<plan::DoneStep> ImageBuild::run_step(StepRunner& runner, const plan::Step& step) {
  const bool has_locked = has_locked_packages(step);
  const bool may_look_again = has_locked && !request_->locked;
  runner.set_shell_on_failure(request_->shell_on_failure && !may_look_again);
  auto done = runner.run(step, layers_);
  if (done || done.error().kind != ErrorKind::tool_failed || !step.kind.starts_with("provision.")) {
    return done;
  }
  if (may_look_again) {
    auto again = run_with_archive(runner, step);
    const bool has_no_archive = !again && again.error().kind == ErrorKind::unavailable;
    return has_no_archive ? std::move(done) : std::move(again);
  }
  if (has_locked) {
    return done;
  }
  Error error = done.error();
  error.hint =
      "the lock has no packages of this step, and --locked resolves none: a build without it "
      "writes down what the step installs" +
      (error.hint.empty() ? "" : "; " + error.hint);
  return error;
}

/// It says what it said when it ended well, so that what it stands on has changed: an earlier step
/// may have brought what its packages need. It sees the archive, and they are preferred.
Result<plan::DoneStep> ImageBuild::run_with_archive(StepRunner& runner, plan::Step step) {
  session_->observer.note("step '" + step.name +
                          "' fails with the packages that are locked for it: once more with all of "
                          "the archive's");
  before_ = lock_.versions();
  lock_.step_packages[step.name]["declared"] = "";  // as preferred_step_packages() has them
  step.options.erase("discovered");
  runner.set_shell_on_failure(request_->shell_on_failure);
  auto done = TRY(runner.run(step, layers_));
  adopt_packages(step, done);
  note_moves();
  return done;
}

void ImageBuild::keep_result(const plan::PlannedStep& planned) {
  switch (planned.step.produces) {
    case plan::Produces::layer:
      layers_.push_back(*planned.done->layer);
      break;
    case plan::Produces::assets:
      assets_ = planned.done->key;
      break;
    case plan::Produces::tools:
      break;
  }
}

namespace {
/// Those that configuring the packages made, where the step says so.
const Json* accounts_of(const plan::PlannedStep& planned) {
  return planned.step.kind == "debian.packages" ? find_value(planned.done->result, "accounts")
                                                : nullptr;
}
}  // namespace

/// The accounts that configuring made go into the lock, and the step counts as done under the key
/// that it has with them: see docs/decisions/0004.
Result<void> ImageBuild::adopt_accounts(StepRunner& runner, const plan::PlannedStep& planned) {
  const Json* accounts = accounts_of(planned);
  if (accounts == nullptr || *accounts == pinned_.accounts) {
    return {};
  }
  pinned_.accounts = *accounts;
  lock_.accounts = *accounts;
  for (const plan::Step& step : TRY(steps())) {
    if (step.kind == "debian.packages") {
      runner.record(step, parent().layers, *planned.done);
    }
  }
  return {};
}

/// By an update, another build, a checkout: what this build began with is not the newest any more.
bool ImageBuild::is_lock_changed_meanwhile(const std::filesystem::path& file) const {
  const auto now = digest_if_there(file);
  return now != lock_before_ && now != sha256(lock_.text());
}

Result<void> ImageBuild::write_lock() const {
  if (request_->keep_lock || request_->locked) {
    return {};
  }
  const auto file = LockFile::path_for(subject_->own.file);
  if (is_lock_changed_meanwhile(file)) {
    session_->observer.note(file.filename().string() +
                            " was changed during this build and left as it is now: the next build "
                            "goes by it");
    return {};
  }
  const auto there = LockFile::find(file);
  // But for what its digest leaves out: one of an older goldmill.
  const bool same = there && *there && (*there)->digest() == lock_.digest();
  auto written = lock_.write(file);
  if (!written && same) {
    session_->observer.note("accounts and files are not noted in the lock: " +
                            written.error().text());
    return {};
  }
  return std::move(written).context("cannot write the lock file");
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
    // A lock that was made anew tells of accounts and packages only what the steps tell it.
    if (const Json* accounts = accounts_of(planned)) {
      pinned_.accounts = lock_.accounts = *accounts;
    }
    adopt_packages(planned.step, *planned.done);
    keep_result(planned);
  }
  const store::ImageRecord image = TRY(identify());
  auto known = TRY(session_->catalogue.find_image_by_digest(image.digest));
  return known && known->name == image.name ? std::move(known) : std::nullopt;
}

bool ImageBuild::has_disk(const store::ImageRecord& image) const {
  return disk_files(session_->home, image.digest).has_value();
}

/// All steps are done, and yet there is no such image.
std::string ImageBuild::why_another_disk() const {
  const auto before = session_->catalogue.find_image({subject_->own.name, 0, ""});
  if (!before) {
    return "new";
  }
  const auto facts = [](const Json& layout, std::int64_t epoch, const std::string& lock) {
    return Json{{"kind", "disk"},
                {"options", {{"disk", layout}, {"epoch", epoch}}},
                {"inputs", {{"lock", lock}}}};
  };
  const Json* labels = find_value(before->config.value("config", Json::object()), "Labels");
  const std::string lock =
      labels == nullptr ? "" : find_string(*labels, "org.goldmill.lock").value_or("");
  const Json* layout = find_value(before->details, "layout");
  const auto size = layout == nullptr ? std::nullopt : find_integer(*layout, "size");
  if (const auto other = static_cast<std::int64_t>(layout_.size); size && *size != other) {
    return "size " + to_text(Bytes{static_cast<std::uint64_t>(*size)}) + " -> " +
           to_text(Bytes{static_cast<std::uint64_t>(other)});
  }
  const std::string why =
      plan::first_difference(facts(layout == nullptr ? Json() : *layout,
                                   find_integer(before->details, "epoch").value_or(0),
                                   lock),
                             facts(layout_.to_json(), lock_.epoch, lock_.digest().text()),
                             plan::Parent{});
  return why.empty() ? "new" : why;
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
    disk.reason = why_another_disk();
  } else if (!has_disk(*finished)) {
    disk.reason = "its disk is gone";
  } else {
    disk.done = plan::DoneStep{finished->digest, {}, {}, {}, 0};
  }
  if (finished) {
    disk.key = finished->digest;
  }
  if (const auto before = session_->catalogue.find_image({plan.image, 0, ""});
      !disk.done && before) {
    if (const Json* seconds = find_value(before->details, "disk_seconds")) {
      disk.expected_seconds = seconds->get<double>();
    }
  }
  return disk;
}

namespace {
/// Why a disk is made: the words of plan(), after the fact.
std::string first_that_ran(const std::vector<StepReport>& steps) {
  const auto ran =
      std::find_if(steps.begin(), steps.end(), [](const StepReport& step) { return step.ran; });
  return ran == steps.end() ? "new" : ran->name + " runs before it";
}
}  // namespace

Result<void> ImageBuild::finish(StepRunner& runner,
                                Claims& claims,
                                const plan::Plan& plan,
                                ImageReport& report) {
  store::ImageRecord record = TRY(identify());
  if (!request_->only.empty() && !request_->only.contains(record.digest)) {
    return Error{ErrorKind::conflict,
                 subject_->own.file.string() + " would give another image now: it was not made"};
  }
  auto known = TRY(session_->catalogue.find_image_by_digest(record.digest));
  if (known && has_disk(record)) {
    TRY(runner.settle());
    report.image = *std::move(known);
    report.steps.push_back({"disk", record.digest.text(), false, 0});
    return {};
  }
  TRY(claim_disks(claims, record));
  const Stopwatch stopwatch;
  session_->observer.step_started(
      record.name, "disk", known ? "its disk is gone" : first_that_ran(report.steps));
  // Both read the finished layers, and neither keeps all cores busy.
  auto details = std::async(std::launch::async, [&] { return this->details(plan); });
  const StoredDisk disk = TRY(make_disk(record, known));
  record.details.update(TRY(details.get()));
  const double seconds = stopwatch.seconds();
  report.steps.push_back({"disk", record.digest.text(), true, seconds});
  session_->observer.step_ended("disk", "ran", seconds);
  double total = 0;
  for (const StepReport& step : report.steps) {
    total += step.seconds;
  }
  record.details["build_seconds"] = total;
  record.details["disk_seconds"] = seconds;
  TRY(session_->home.put_blob(canonical(record.config)));
  TRY(runner.settle());
  report.image = TRY(session_->catalogue.add_image(std::move(record)));
  if (known) {  // what has been found out about it since it was built stays
    report.image.details = std::move(known->details);
    describe_disk(disk, report.image.details);
    TRY(session_->catalogue.update_details(report.image));
  }
  return {};
}

namespace {
// Beside the steps' names.
constexpr const char* kRecipeFiles = "files of the recipe";
constexpr const char* kMachine = "this machine";

/// The same in every checkout, wherever that lies.
std::string shown_name(const recipe::Recipe& own, const std::filesystem::path& file) {
  const auto relative = file.lexically_relative(own.file.parent_path());
  const bool is_beside = !relative.empty() && *relative.begin() != "..";
  return own.fixed_files.contains(file) && !is_beside ? file.string() : relative.string();
}
}  // namespace

/// The files and directories that the recipe and its own steps read, and what comes from this
/// machine without a word in the recipe.
Json ImageBuild::inputs_of(const plan::Plan& plan) const {
  Json inputs = Json::object();
  for (const auto& [path, digest] : subject_->own.files) {
    inputs[kRecipeFiles][shown_name(subject_->own, path)] = digest.text();
  }
  if (!subject_->parent && subject_->merged.apt_sources.empty()) {
    inputs[kMachine]["archives of the guest's apt"] = sha256(given_.apt_sources).text();
  }
  std::map<std::string, int> seen;
  for (const plan::PlannedStep& planned : plan.steps) {
    const int count = ++seen[planned.step.name];
    const std::string name = planned.step.name + (count == 1 ? "" : " #" + std::to_string(count));
    for (const auto& [what, digest] : planned.step.inputs) {
      const bool is_file = digest.starts_with("sha256:") && what != "tools";  // those are packages
      if (is_file && planned.step.kind.starts_with("provision.")) {
        inputs[name][what] = digest;
      }
    }
  }
  return inputs;
}

/// All of them go into the lock; --locked takes no others.
Result<void> ImageBuild::adopt_inputs(const plan::Plan& plan) {
  Json inputs = inputs_of(plan);
  if (request_->same_files && lock_.inputs.is_object()) {
    TRY(check_machine(inputs));
    TRY(check_files(inputs));
  }
  lock_.inputs = std::move(inputs);
  return {};
}

/// A lock that has not noted it says nothing of it, and a recipe that says it needs no machine's.
Result<void> ImageBuild::check_machine(const Json& inputs) const {
  const Json* before = find_value(lock_.inputs, kMachine);
  const Json* now = find_value(inputs, kMachine);
  if (before == nullptr || now == nullptr || *before == *now) {
    return {};
  }
  return Error{
      ErrorKind::conflict,
      LockFile::path_for(subject_->own.file).filename().string() +
          " is of a machine with other archives, which the guest's apt would get, and "
          "--locked takes no others",
      "say in the recipe what it gets, `apt: {sources: [...]}`, and it is the same on every "
      "machine; a build without --locked writes this one's down"};
}

Result<void> ImageBuild::check_files(Json inputs) const {
  Json before = lock_.inputs;
  before.erase(kMachine);
  inputs.erase(kMachine);
  const std::string difference =
      plan::first_difference({{"inputs", before}}, {{"inputs", inputs}}, plan::Parent{});
  if (difference.empty()) {
    return {};
  }
  return Error{ErrorKind::conflict,
               LockFile::path_for(subject_->own.file).filename().string() +
                   " is of other files: " + difference + ", and --locked takes no others",
               "a build without --locked writes them down"};
}

/// The ids that accounts got go into the lock; those that it has must be the same.
Result<void> ImageBuild::adopt_ids(const Json& all) {
  if (request_->keep_lock) {
    return {};  // who keeps the lock tells by itself what is other
  }
  TRY(check_account_ids(lock_.ids, all, LockFile::path_for(subject_->own.file).filename()));
  const bool is_noted =
      !subject_->parent || find_value(subject_->parent->record.details, "ids") != nullptr;
  if (is_noted || lock_.ids.empty()) {
    lock_.ids = own_account_ids(all, TRY(parent_ids()));
  }
  return {};
}

/// Of a parent that was built before they were noted, its files tell them.
Result<Json> ImageBuild::parent_ids() const {
  if (!subject_->parent) {
    return Json();
  }
  if (const Json* noted = find_value(subject_->parent->record.details, "ids")) {
    return *noted;
  }
  return ids_on(parent().layers);
}

Result<Json> ImageBuild::ids_on(const std::vector<Digest>& layers) const {
  build::OverlaySandbox tree({.layers = TRY(layer_trees(*session_, layers)), .epoch = lock_.epoch});
  return account_ids(TRY(read_or_empty(tree, "/etc/passwd")),
                     TRY(read_or_empty(tree, "/etc/group")));
}

/// What is written, and what that may stand on.
Result<void> ImageBuild::claim_disks(Claims& claims, const store::ImageRecord& record) const {
  const store::Home& home = session_->home;
  std::vector<std::string> objects = {home.name_of(home.disk(record.digest)),
                                      home.name_of(home.blob(record.digest))};
  if (subject_->parent) {
    if (const auto files = disk_files(home, subject_->parent->record.digest)) {
      for (const std::filesystem::path& file : *files) {
        objects.push_back(home.name_of(file));
      }
    }
  }
  return claims.add(objects);
}

/// One that was there and has gone must become what it was: other disks may stand on it.
Result<StoredDisk> ImageBuild::make_disk(store::ImageRecord& record,
                                         const std::optional<store::ImageRecord>& known) {
  const auto parent = subject_->parent ? std::optional(subject_->parent->record) : std::nullopt;
  const auto expected = known ? std::optional(known->disk_digest) : std::nullopt;
  const DiskParts parts{layers_, assets_, layout_, lock_.epoch};
  const StoredDisk disk = TRY(store_disk(*session_, parts, record.digest, parent, expected));
  record.disk_digest = disk.digest;
  describe_disk(disk, record.details);
  return disk;
}

std::vector<Digest> ImageBuild::declared_layers(const plan::Plan& plan) const {
  std::vector<Digest> layers = subject_->parent
                                   ? digests_at(subject_->parent->record.details, "declared_layers")
                                   : std::vector<Digest>();
  for (const plan::PlannedStep& planned : plan.steps) {
    if (planned.step.produces == plan::Produces::layer && declares_files(planned.step)) {
      layers.push_back(*planned.done->layer);
    }
  }
  return layers;
}

/// The files of keys that recipes of the lineage named.
std::vector<std::string> ImageBuild::keys_of_lineage() const {
  auto paths = named_keys(subject_->merged);
  add_cloud_keys(subject_->own, paths);
  if (subject_->parent) {
    const auto more = find_strings(subject_->parent->record.details, "named_keys");
    paths.insert(paths.end(), more.begin(), more.end());
  }
  return paths;
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
  for (const build::Finding& finding : TRY(build::check_image(layers, keys_of_lineage()))) {
    findings.push_back({{"rule", finding.rule}, {"path", finding.path}, {"layer", finding.layer}});
  }
  return findings;
}

/// What Puppet and Ansible did in each step: [{"tool", "step", and as provision's RunReport}].
Json tool_reports(const plan::Plan& plan) {
  Json reports = Json::array();
  for (const plan::PlannedStep& planned : plan.steps) {
    for (const auto& [key, tool] : {std::pair{"puppet", "Puppet"}, {"ansible", "Ansible"}}) {
      if (const Json* report = find_value(planned.done->result, key)) {
        reports.push_back(*report);
        reports.back()["tool"] = tool;
        reports.back()["step"] = planned.step.name;
      }
    }
  }
  return reports;
}

/// Units that steps of the lineage want to be active on instances.
std::vector<std::string> expected_services(const std::optional<ParentImage>& parent,
                                           const Json& reports) {
  auto services =
      parent ? find_strings(parent->record.details, "services") : std::vector<std::string>();
  for (const Json& report : reports) {
    for (std::string& unit : find_strings(report, "services")) {
      if (std::find(services.begin(), services.end(), unit) == services.end()) {
        services.push_back(std::move(unit));
      }
    }
  }
  return services;
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
    steps.push_back(
        {{"name", planned.step.name},
         {"kind", planned.step.kind},
         {"key", planned.done->key.text()},
         {"layer",
          planned.step.produces == plan::Produces::layer ? Json(planned.done->layer->text())
                                                         : Json()},
         {"seconds", planned.done->seconds}});
  }
  const std::vector<Digest> declared = declared_layers(plan);
  Json seal = TRY(check_seal(declared));
  const Digest status_blob = TRY(session_->home.put_blob(status));
  const Digest states_blob = TRY(session_->home.put_blob(states));
  const Json reports = tool_reports(plan);
  const auto& os = *subject_->merged.os;
  return Json{
      {"recipe_file", subject_->own.file.string()},
      {"set", request_->set},
      {"recipe", recipe::to_snapshot(subject_->merged)},
      {"os", os.family + "/" + os.release},
      {"architecture", os.architecture},
      {"epoch", lock_.epoch},
      {"parent", subject_->parent ? Json(subject_->parent->record.reference()) : Json()},
      {"parent_digest", subject_->parent ? Json(subject_->parent->record.digest.text()) : Json()},
      {"layers", texts(layers_)},
      {"steps", std::move(steps)},
      {"packages", std::move(packages)},
      {"ids", ids_},
      {"assets", assets_.text()},
      {"layout", layout_.to_json()},
      {"fstab", given_.fstab},
      {"apt_sources", given_.apt_sources},
      {"reports", reports},
      {"named_keys", keys_of_lineage()},
      {"services", expected_services(subject_->parent, reports)},
      {"declared_layers", texts(declared)},
      {"seal", std::move(seal)},
      {"dpkg_status", status_blob.text()},
      {"extended_states", states_blob.text()}};
}

}  // namespace goldmill::factory
