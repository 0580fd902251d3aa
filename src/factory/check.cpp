// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <set>

#include <fcntl.h>

#include <goldmill/build/stored_layer.hpp>
#include <goldmill/build/work.hpp>
#include <goldmill/factory/check.hpp>
#include <goldmill/launch/launch.hpp>
#include <goldmill/system/file.hpp>

#include "claims.hpp"
#include "holdings.hpp"
#include "oci_index.hpp"
#include "repair.hpp"

namespace goldmill::factory {

namespace fs = std::filesystem;

namespace {

using Kind = CheckFinding::Kind;

constexpr const char* kContentDiffers = "its content is not what its name says";

/// Looks at everything once and collects what is wrong; says nothing about what may be a moment of
/// another command's work until confirm() has looked again.
class Inspection {
 public:
  explicit Inspection(Session& session) : session_(session) {}

  Result<CheckReport> run() {
    TRY(know());
    TRY(catalogue());
    TRY(trees("trees", "layers"));
    TRY(trees("assets", "assets"));
    TRY(disks());
    TRY(blobs());
    TRY(packages());
    strays();
    TRY(index());
    TRY(instances());
    TRY(snapshots());
    find_missing();
    TRY(confirm());
    return std::move(report_);
  }

 private:
  Result<void> know();
  Result<void> catalogue();
  Result<void> trees(const std::string& area, const std::string& what);
  Result<void> disks();
  Result<void> blobs();
  Result<void> packages();
  void strays();
  Result<void> index();
  Result<void> instances();
  Result<void> snapshots();
  void find_missing();
  Result<void> confirm();

  /// Names in an area of the home, sorted.
  Result<std::vector<std::string>> names_in(const std::string& area);
  Result<void> check_file(const std::string& object,
                          const std::string& hex,
                          const std::string& why);
  void add(Kind kind, const std::string& object, const std::string& why) {
    const auto images = holdings_.objects.find(object);
    report_.findings.push_back(
        {kind,
         object,
         why,
         images == holdings_.objects.end() ? std::vector<std::string>() : images->second});
  }
  bool is_known(const std::string& object) const {
    return holdings_.objects.contains(object) || steps_.contains(object) ||
           claims_.contains(object);
  }

  Session& session_;
  Holdings holdings_;
  std::set<std::string> steps_;   // what steps made, whether an image holds it or not
  std::set<std::string> claims_;  // of builds that run
  std::map<std::string, Digest> contents_;
  std::set<std::string> seen_;
  CheckReport report_;
};

/// What must be there, and what may.
Result<void> Inspection::know() {
  holdings_ = TRY(holdings_of_images(session_));
  contents_ = TRY(session_.catalogue.contents());
  steps_.clear();
  for (const store::StepObject& step : TRY(session_.catalogue.step_objects())) {
    steps_.insert(session_.home.name_of(step.layer ? session_.home.tree(*step.layer)
                                                   : session_.home.assets(step.key)));
  }
  claims_ = TRY(living_claims(session_));
  return {};
}

/// Of what it says cannot be trusted, an image's row names the image.
Result<void> Inspection::catalogue() {
  for (const std::string& line : TRY(session_.catalogue.damage())) {
    add(Kind::damaged, kCatalogue, line);
  }
  for (const std::string& line : TRY(session_.catalogue.damaged_rows()).lines()) {
    add(Kind::damaged, kCatalogue, line);
  }
  for (const auto& [image, why] : holdings_.untold) {
    report_.findings.push_back(
        {Kind::damaged, kCatalogue, "what it says of " + image + ": " + why, {image}});
  }
  return {};
}

Result<std::vector<std::string>> Inspection::names_in(const std::string& area) {
  std::vector<std::string> names;
  std::error_code failure;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(session_.home.root() / area, failure)) {
    if (!is_of_disk(entry.path())) {
      names.push_back(entry.path().filename());
      seen_.insert(area + "/" + names.back());
    }
  }
  if (failure) {
    return system_error("cannot read " + (session_.home.root() / area).string(), failure.value());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Layers are named by their content; of assets the catalogue knows it.
Result<void> Inspection::trees(const std::string& area, const std::string& what) {
  std::vector<std::string> known;
  for (const std::string& name : TRY(names_in(area))) {
    if (is_known(area + "/" + name)) {
      known.push_back(name);
    } else {
      add(Kind::unknown, area + "/" + name, "");
    }
  }
  session_.observer.step_progress(what, 0, known.size());
  return build::identify_trees(
      session_.home.root() / area,
      known,
      [&](const std::string& name, const Result<Digest>& digest) {
        const std::string object = area + "/" + name;
        session_.observer.step_progress(what, ++report_.checked[what], known.size());
        const auto content = contents_.find(object);
        const auto expected = area == "trees"              ? Digest::parse(name)
                              : content == contents_.end() ? digest
                                                           : Result<Digest>(content->second);
        report_.without_digest += area != "trees" && content == contents_.end() ? 1 : 0;
        if (!digest) {
          add(Kind::damaged, object, digest.error().message);
        } else if (!expected || *expected != *digest) {
          add(Kind::damaged, object, kContentDiffers);
        }
      });
}

/// Compares the file with the digest that it must have.
Result<void> Inspection::check_file(const std::string& object,
                                    const std::string& hex,
                                    const std::string& why) {
  if (session_.observer.is_cancelled()) {
    return Error{ErrorKind::cancelled, "the check was cancelled"};
  }
  const auto digest =
      system::digest_of(session_.home.root() / object, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!digest || digest->hex() != hex) {
    add(Kind::damaged, object, digest ? why : digest.error().message);
  }
  return {};
}

Result<void> Inspection::disks() {
  const auto names = TRY(names_in("disks"));
  for (const std::string& name : names) {
    const std::string object = "disks/" + name;
    if (!is_known(object)) {
      add(Kind::unknown, object, "");
      continue;
    }
    session_.observer.step_progress("disks", ++report_.checked["disks"], names.size());
    const auto content = contents_.find(object);
    if (content == contents_.end()) {
      ++report_.without_digest;
      continue;
    }
    TRY(check_file(object, content->second.hex(), "its content is not what was written"));
  }
  return {};
}

Result<void> Inspection::blobs() {
  const auto names = TRY(names_in("blobs/sha256"));
  for (const std::string& name : names) {
    const std::string object = "blobs/sha256/" + name;
    if (!is_known(object)) {
      if (!is_new(session_.home.root() / object)) {
        add(Kind::unknown, object, "");
      }
      continue;
    }
    session_.observer.step_progress("blobs", ++report_.checked["blobs"], names.size());
    TRY(check_file(object, name, kContentDiffers));
  }
  return {};
}

/// A cache, but one that builds read without asking anybody.
Result<void> Inspection::packages() {
  const auto names = TRY(names_in("packages"));
  for (const std::string& name : names) {
    if (!name.ends_with(".deb")) {
      continue;
    }
    session_.observer.step_progress("packages", ++report_.checked["packages"], names.size());
    const std::string hex = name.substr(0, name.size() - std::string_view(".deb").size());
    TRY(check_file("packages/" + name, hex, kContentDiffers));
  }
  return {};
}

void Inspection::strays() {
  for (const std::string& stray : strays_of(session_.home)) {
    add(Kind::unknown, stray, "");
  }
}

Result<void> Inspection::index() {
  const auto text = system::read_file(session_.home.index());
  if (!text) {
    add(Kind::missing, "index.json", "");
  } else if (*text != store::index_text(TRY(indexed_images(session_)))) {
    add(Kind::damaged, "index.json", "it does not name the images that are packed");
  }
  return {};
}

Result<void> Inspection::instances() {
  std::set<std::string> images;
  for (const store::ImageRecord& image : TRY(session_.catalogue.images())) {
    images.insert(image.reference());
  }
  for (const auto& [image, why] : holdings_.untold) {
    images.insert(image);  // damaged, and yet there
  }
  for (const launch::Instance& instance : TRY(launch::list(session_.home.root()))) {
    ++report_.checked["instances"];
    if (!images.contains(instance.image)) {
      add(Kind::damaged,
          "instances/" + instance.name,
          launch::is_damaged(instance) ? instance.error
                                       : "its image " + instance.image + " is gone");
    }
  }
  return {};
}

/// Of warm launches; each belongs to an image, whose digest is its directory's name.
Result<void> Inspection::snapshots() {
  std::map<std::string, std::vector<std::string>> images;
  for (const store::ImageRecord& image : TRY(session_.catalogue.images())) {
    images[image.digest.hex()].push_back(image.reference());
  }
  for (const store::DamagedImage& image : TRY(session_.catalogue.damaged_images())) {
    images[image.digest.value_or(Digest()).hex()].push_back(image.reference());
  }
  for (const launch::SnapshotHealth& snapshot : launch::inspect_snapshots(session_.home.root())) {
    const std::string object = session_.home.name_of(snapshot.directory);
    const auto of = images.find(snapshot.directory.parent_path().filename());
    ++report_.checked["snapshots"];
    if (of == images.end()) {
      add(Kind::unknown, object, "");
    } else if (!snapshot.damage.empty()) {
      report_.findings.push_back({Kind::damaged, object, snapshot.damage, of->second});
    }
  }
  return {};
}

void Inspection::find_missing() {
  for (const auto& [object, images] : holdings_.objects) {
    if (!seen_.contains(object)) {
      add(Kind::missing, object, "");
    }
  }
}

/// Others may have built, removed or collected in the meantime.
Result<void> Inspection::confirm() {
  if (report_.findings.empty()) {
    return {};
  }
  TRY(know());
  std::error_code ignored;
  std::erase_if(report_.findings, [&](const CheckFinding& finding) {
    const bool is_there = fs::exists(session_.home.root() / finding.object, ignored);
    switch (finding.kind) {
      case Kind::unknown:
        return !is_there || is_known(finding.object);
      case Kind::missing:
        return is_there ||
               (!holdings_.objects.contains(finding.object) && finding.object != "index.json");
      case Kind::damaged:
        return !is_there && !holdings_.objects.contains(finding.object);
    }
    return false;
  });
  return {};
}

}  // namespace

const char* name_of(CheckFinding::Kind kind) {
  switch (kind) {
    case Kind::damaged:
      return "damaged";
    case Kind::missing:
      return "missing";
    case Kind::unknown:
      return "unknown";
  }
  return "";
}

bool CheckReport::is_sound() const {
  return std::all_of(findings.begin(), findings.end(), [](const CheckFinding& finding) {
    return finding.repaired || finding.kind == Kind::unknown;
  });
}

Json CheckReport::to_json() const {
  Json list = Json::array();
  for (const CheckFinding& finding : findings) {
    list.push_back({{"kind", name_of(finding.kind)},
                    {"object", finding.object},
                    {"why", finding.why},
                    {"images", finding.images},
                    {"repaired", finding.repaired},
                    {"outcome", finding.outcome}});
  }
  Json counts = Json::object();
  for (const auto& [what, count] : checked) {
    counts[what] = count;
  }
  return {{"sound", is_sound()},
          {"findings", std::move(list)},
          {"checked", std::move(counts)},
          {"without_digest", without_digest}};
}

Result<CheckReport> check_store(Session& session, bool repair) {
  if (!repair) {
    return Inspection(session).run();
  }
  const auto alone = system::FileLock::try_acquire(session.home.root() / "repair.lock",
                                                   system::FileLock::Mode::exclusive);
  if (!alone) {
    return alone.error().kind == ErrorKind::conflict ? Error{ErrorKind::conflict,
                                                             "another goldmill repairs this store",
                                                             "wait for it to end"}
                                                     : alone.error();
  }
  CheckReport report = TRY(Inspection(session).run());
  TRY(repair_findings(session, report.findings));
  return report;
}

}  // namespace goldmill::factory
