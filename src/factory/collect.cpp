// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <functional>
#include <set>
#include <string_view>

#include <sys/stat.h>

#include <goldmill/build/work.hpp>
#include <goldmill/factory/collect.hpp>
#include <goldmill/factory/image_jobs.hpp>
#include <goldmill/launch/launch.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/locked_directory.hpp>

#include "holdings.hpp"
#include "oci_index.hpp"

namespace goldmill::factory {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::system_clock;

struct Area {
  std::string directory;  ///< below the home
  std::string what;       ///< as the report counts it
  bool of_guests;         ///< belongs to guest ids
};

/// What the catalogue refers to.
const std::vector<Area>& areas() {
  static const std::vector<Area> kAreas = {{"trees", "layers", true},
                                           {"assets", "assets", true},
                                           {"disks", "disks", false},
                                           {"blobs/sha256", "blobs", false}};
  return kAreas;
}

/// Every run of 64 hexadecimal digits: whatever is named by its SHA-256.
void add_digests(std::string_view text, std::set<std::string, std::less<>>& digests) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (std::size_t at = text.find_first_of(kDigits); at != std::string_view::npos;
       at = text.find_first_of(kDigits, at)) {
    const std::size_t end = std::min(text.find_first_not_of(kDigits, at), text.size());
    if (end - at == 64) {
      digests.emplace(text.substr(at, 64));
    }
    at = end;
  }
}

Bytes size_on_disk(const fs::path& file) {
  struct stat status {};
  return Bytes{
      ::lstat(file.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_blocks) * 512 : 0};
}

/// Of a file, or of a directory with all that can be read in it.
Bytes size_of_all(const fs::path& path) {
  std::uint64_t sum = size_on_disk(path).value;
  std::error_code ignored;
  if (fs::is_directory(fs::symlink_status(path, ignored))) {
    fs::recursive_directory_iterator entries(path, ignored);
    for (; entries != fs::recursive_directory_iterator(); entries.increment(ignored)) {
      sum += size_on_disk(entries->path()).value;
    }
  }
  return Bytes{sum};
}

/// The directory's owner is who runs this or, among layers, a guest id.
Result<void> remove_of_anybody(const fs::path& path) {
  auto removed = system::remove_tree(path);
  return removed || build::remove_guest_tree(path.parent_path(), path.filename())
             ? Result<void>()
             : std::move(removed);
}

class Collection {
 public:
  Collection(Session& session, const CollectRequest& request)
      : session_(session), request_(request), oldest_(Clock::now() - request.keep_unused) {}

  Result<CollectReport> run() {
    TRY(look_for_untold());
    if (is_sure_ && (request_.keep_versions > 0 || request_.keep_younger)) {
      if (!request_.dry_run) {
        remove_overdue(session_);
      }
      TRY(remove_old_versions());
    }
    const auto trash = TRY(build::WorkDirectory::make(session_.home.root()));
    trash_ = trash.path();
    TRY(request_.dry_run ? sort_out() : session_.catalogue.alone([this] { return sort_out(); }));
    if (!request_.dry_run && report_.counts["layers"] + report_.counts["assets"] > 0) {
      add_freed(TRY(build::bytes_freed_by(trash_, {"upper"})));
    }
    TRY(remove_unused_packages());
    remove_strays();
    TRY(remove_unused_logs());
    TRY(remove_useless_snapshots());
    TRY(request_.dry_run ? Result<void>() : refresh_index(session_));
    std::erase_if(report_.counts, [](const auto& entry) { return entry.second == 0; });
    return std::move(report_);
  }

 private:
  Clock::time_point youngest_that_goes() const {
    return Clock::now() - request_.keep_younger.value_or(std::chrono::hours(0));
  }
  Result<void> look_for_untold();
  /// While an image does not tell what it needs, it may be anything.
  bool is_held(const std::string& object) const { return !is_sure_ || held_.contains(object); }
  Result<void> remove_old_versions();
  Result<void> drop_if_free(const store::ImageRecord& image);
  Result<void> sort_out();
  Result<void> forget_facts();
  Result<void> hold_images();
  Result<void> hold_claims();
  Result<void> hold_steps();
  Result<void> clear(const Area& area);
  void clear_guest_trees(const Area& area, const std::vector<std::string>& names);
  Result<void> discard(const fs::path& directory, const std::vector<std::string>& names);
  Result<void> move_away(const fs::path& tree);
  void leave(const Error& error);
  Result<void> remove_unused_packages();
  void remove_strays();
  void remove_wholly(const fs::path& path, const std::string& what);
  Result<void> remove_unused_logs();
  Result<void> remove_evidence();
  Result<void> remove_useless_snapshots();
  std::vector<std::string> old_files(const fs::path& directory,
                                     const std::function<bool(std::string_view)>& is_unused) const;
  Result<std::set<std::string>> launches() const;
  Result<bool> builds_run() const;

  void add_freed(Bytes size) { report_.freed = Bytes{report_.freed.value + size.value}; }

  Session& session_;
  const CollectRequest& request_;
  Clock::time_point oldest_;
  fs::path trash_;
  bool is_sure_ = true;                       // what each image needs
  std::set<std::string> held_;                // paths below the home
  std::set<std::string, std::less<>> named_;  // SHA-256s of what held steps were made from
  std::set<Digest> dropped_;                  // images that go
  std::set<fs::path> dropped_evidence_;       // of their tests
  CollectReport report_;
};

Result<void> Collection::look_for_untold() {
  for (const auto& [image, why] : TRY(holdings_of_images(session_)).untold) {
    is_sure_ = false;
    session_.observer.note("what the catalogue says of " + image + " is damaged (" + why +
                           "): nothing goes that it may need; `goldmill check --repair` mends it, "
                           "or remove it: goldmill rm " +
                           image);
  }
  if (!TRY(session_.catalogue.damaged_rows()).blobs.empty()) {
    is_sure_ = false;
    session_.observer.note(
        "what the catalogue says of packed layers is damaged: nothing goes that "
        "an image may need; `goldmill check --repair` mends it");
  }
  return {};
}

/// Again until nothing goes: an image may go when what stands on it has gone.
Result<void> Collection::remove_old_versions() {
  std::size_t before = 0;
  do {
    before = dropped_.size();
    std::map<std::string, int> seen;
    auto images = TRY(session_.catalogue.images());
    std::reverse(images.begin(), images.end());  // newest first
    for (const store::ImageRecord& image : images) {
      const bool is_old = ++seen[image.name] > std::max(request_.keep_versions, 1) &&
                          Clock::from_time_t(image.created) <= youngest_that_goes();
      if (is_old && !dropped_.contains(image.digest)) {
        TRY(drop_if_free(image));
      }
    }
  } while (dropped_.size() != before);
  return {};
}

Result<void> Collection::drop_if_free(const store::ImageRecord& image) {
  const auto allowed = [&]() -> Result<void> {
    if (!TRY(session_.catalogue.channels_of(image)).empty()) {
      return Error{ErrorKind::conflict, "a channel names it"};
    }
    return check_removable(session_,
                           image.version_name(),
                           dropped_,
                           request_.dry_run ? Overdue::goes : Overdue::holds);
  };
  const auto gone =
      request_.dry_run ? allowed() : session_.catalogue.remove_image(image.version_name(), allowed);
  if (!gone) {
    return gone.error().kind == ErrorKind::conflict ? Result<void>() : gone;
  }
  dropped_.insert(image.digest);
  dropped_evidence_.insert(session_.home.evidence(image.name, image.version));
  report_.images.push_back(image.reference());
  return {};
}

/// Alone in the catalogue: a build's claim comes wholly before this or wholly after it.
Result<void> Collection::sort_out() {
  TRY(hold_images());
  TRY(hold_claims());
  TRY(hold_steps());
  for (const Area& area : areas()) {
    TRY(clear(area));
  }
  return request_.dry_run ? Result<void>() : forget_facts();
}

/// What the catalogue keeps about objects goes with them.
Result<void> Collection::forget_facts() {
  std::error_code ignored;
  for (const auto& [layer, blob] : TRY(session_.catalogue.layer_blobs())) {
    if (!fs::exists(session_.home.blob(blob.blob), ignored)) {
      TRY(session_.catalogue.forget_blob(layer));
    }
  }
  for (const auto& [object, content] : TRY(session_.catalogue.contents())) {
    if (!fs::exists(session_.home.root() / object, ignored)) {
      TRY(session_.catalogue.forget_content(object));
    }
  }
  return {};
}

Result<void> Collection::hold_images() {
  for (const auto& [object, images] : TRY(holdings_of_images(session_, dropped_)).objects) {
    held_.insert(object);
  }
  return {};
}

/// A claim holds while its owner's work directory is locked.
Result<void> Collection::hold_claims() {
  for (const auto& [owner, object] : TRY(session_.catalogue.claims())) {
    if (system::is_owned(session_.home.work() / owner)) {
      held_.insert(object);
    } else if (!request_.dry_run) {
      TRY(session_.catalogue.remove_claims(owner));
    }
  }
  return {};
}

/// Steps whose result is held anyway, and young ones, hold theirs; the others are forgotten.
Result<void> Collection::hold_steps() {
  std::set<std::string> young;
  for (const store::StepObject& step : TRY(session_.catalogue.step_objects())) {
    const std::string object = session_.home.name_of(step.layer ? session_.home.tree(*step.layer)
                                                                : session_.home.assets(step.key));
    if (Clock::from_time_t(step.created) >= oldest_) {
      young.insert(object);
    } else if (!is_held(object)) {
      ++report_.counts["steps"];
      TRY(request_.dry_run ? Result<void>() : session_.catalogue.forget_step(step.key));
      continue;
    }
    add_digests(step.description, named_);
  }
  held_.insert(young.begin(), young.end());
  return {};
}

Result<void> Collection::clear(const Area& area) {
  const fs::path directory = session_.home.root() / area.directory;
  std::vector<std::string> names;
  std::error_code failure;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, failure)) {
    const bool waits = area.what == "blobs" && is_new(entry.path());
    if (!waits && !is_of_disk(entry.path()) && !is_held(session_.home.name_of(entry.path()))) {
      names.push_back(entry.path().filename());
    }
  }
  if (failure) {
    return system_error("cannot read " + directory.string(), failure.value());
  }
  if (area.of_guests) {
    clear_guest_trees(area, names);
  } else {
    for (const std::string& name : names) {
      remove_wholly(directory / name, area.what);
    }
  }
  return {};
}

/// Those that steps made go at once or not at all: when this is broken off, the catalogue tells of
/// them as before. Whatever else lies there was put there by somebody.
void Collection::clear_guest_trees(const Area& area, const std::vector<std::string>& names) {
  const fs::path directory = session_.home.root() / area.directory;
  std::vector<std::string> trees;
  std::error_code ignored;
  for (const std::string& name : names) {
    if (Digest::parse(name) && fs::is_directory(fs::symlink_status(directory / name, ignored))) {
      trees.push_back(name);
    } else {
      remove_wholly(directory / name, area.what);
    }
  }
  if (trees.empty()) {
    return;
  }
  if (discard(directory, trees)) {
    report_.counts[area.what] += trees.size();
    return;
  }
  for (const std::string& name : trees) {
    const auto gone = discard(directory, {name}) ? Result<void>() : move_away(directory / name);
    if (gone) {
      ++report_.counts[area.what];
    } else {
      leave(gone.error());
    }
  }
}

/// A tree that no guest id owns, as a copy from elsewhere.
Result<void> Collection::move_away(const fs::path& tree) {
  const Bytes size = size_of_all(tree);
  std::error_code failure;
  if (!request_.dry_run) {
    fs::rename(tree, trash_ / tree.filename(), failure);
  }
  if (failure) {
    return system_error("cannot remove " + tree.string(), failure.value());
  }
  add_freed(size);
  return {};
}

Result<void> Collection::discard(const fs::path& directory, const std::vector<std::string>& names) {
  if (request_.dry_run) {
    add_freed(TRY(build::bytes_freed_by(directory, names)));
    return {};
  }
  return build::discard_guest_trees(directory, names, trash_);
}

void Collection::leave(const Error& error) {
  session_.observer.note(error.text() +
                         "; nothing needs it: remove it yourself, or give it to who runs goldmill");
}

/// Launches fetch nothing: all that they claim are images' snapshots.
Result<std::set<std::string>> Collection::launches() const {
  std::set<std::string> owners;
  std::set<std::string> builders;
  for (const auto& [owner, object] : TRY(session_.catalogue.claims())) {
    (object.starts_with("snapshots/") ? owners : builders).insert(owner);
  }
  std::erase_if(owners, [&](const std::string& owner) { return builders.contains(owner); });
  return owners;
}

Result<bool> Collection::builds_run() const {
  const auto others = TRY(launches());
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(session_.home.work(), ignored)) {
    if (entry.path() != trash_ && !others.contains(entry.path().filename()) &&
        system::is_owned(entry.path())) {
      return true;
    }
  }
  return false;
}

/// What no held step was made from can be fetched again. A build that runs may be about to read it.
Result<void> Collection::remove_unused_packages() {
  if (TRY(builds_run())) {
    session_.observer.note("builds are running: packages are left for another time");
    return {};
  }
  for (const std::string& name : old_files(session_.home.packages(), [this](auto name) {
         return name.ends_with(".deb") && !named_.contains(name.substr(0, name.find('.')));
       })) {
    remove_wholly(session_.home.packages() / name, "packages");
  }
  // Downloads with which nobody went on.
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(session_.home.packages() / "partial", ignored)) {
    if (came_at(entry.path()) < oldest_ && !is_new(entry.path())) {
      remove_wholly(entry.path(), "downloads");
    }
  }
  return {};
}

void Collection::remove_strays() {
  for (const std::string& stray : strays_of(session_.home)) {
    remove_wholly(session_.home.root() / stray, "strays");
  }
}

/// Nothing relies on it: what cannot be removed keeps nothing else from going.
void Collection::remove_wholly(const fs::path& path, const std::string& what) {
  const Bytes size = size_of_all(path);
  if (const auto removed = request_.dry_run ? Result<void>() : remove_of_anybody(path); !removed) {
    leave(removed.error());
    return;
  }
  ++report_.counts[what];
  add_freed(size);
}

Result<void> Collection::remove_unused_logs() {
  for (const std::string& name :
       old_files(session_.home.logs(), [](auto /*name*/) { return true; })) {
    remove_wholly(session_.home.logs() / name, "logs");
  }
  return remove_evidence();
}

/// Of tests that failed: when it is old, and with its image. A test that runs writes into it.
Result<void> Collection::remove_evidence() {
  if (TRY(builds_run())) {
    return {};
  }
  std::vector<fs::path> useless;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(session_.home.logs(), ignored)) {
    const bool is_old = came_at(entry.path()) < oldest_ && !is_of_disk(entry.path());
    if (fs::is_directory(entry.symlink_status(ignored)) &&
        (is_old || dropped_evidence_.contains(entry.path()))) {
      useless.push_back(entry.path());
    }
  }
  for (const fs::path& directory : useless) {
    remove_wholly(directory, "logs");
  }
  return {};
}

/// Of images that are gone, and those from which nothing can go on.
Result<void> Collection::remove_useless_snapshots() {
  // Before the images: who makes one of a new image is none of ours.
  std::vector<fs::path> useless;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(session_.home.snapshots(), ignored)) {
    if (!is_of_disk(entry.path())) {
      useless.push_back(entry.path());
    }
  }
  std::set<std::string> images;
  for (const store::ImageRecord& image : TRY(session_.catalogue.images())) {
    if (!dropped_.contains(image.digest)) {
      images.insert(image.digest.hex());
    }
  }
  std::erase_if(useless, [&](const fs::path& entry) {
    return !is_sure_ || images.contains(entry.filename());
  });
  for (const fs::path& snapshot : TRY(launch::useless_snapshots(session_.home.root()))) {
    if (images.contains(snapshot.parent_path().filename())) {
      useless.push_back(snapshot);
    }
  }
  for (const fs::path& directory : useless) {
    remove_wholly(directory, "snapshots");
  }
  return {};
}

std::vector<std::string> Collection::old_files(
    const fs::path& directory, const std::function<bool(std::string_view)>& is_unused) const {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename();
    if (entry.is_regular_file(ignored) && is_unused(name) && came_at(entry.path()) < oldest_) {
      names.push_back(name);
    }
  }
  return names;
}

}  // namespace

Json CollectReport::to_json() const {
  Json removed = Json::object();
  for (const auto& [what, count] : counts) {
    removed[what] = count;
  }
  return {{"images", images}, {"removed", removed}, {"freed_bytes", freed.value}};
}

Result<CollectReport> collect(Session& session, const CollectRequest& request) {
  return Collection(session, request).run();
}

}  // namespace goldmill::factory
