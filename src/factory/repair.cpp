// SPDX-License-Identifier: GPL-3.0-or-later
#include "repair.hpp"

#include <functional>
#include <optional>
#include <set>

#include <goldmill/build/overlay_sandbox.hpp>
#include <goldmill/build/stored_layer.hpp>
#include <goldmill/build/work.hpp>
#include <goldmill/factory/build_image.hpp>
#include <goldmill/factory/pack.hpp>
#include <goldmill/launch/launch.hpp>
#include <goldmill/qcow2/chain.hpp>
#include <goldmill/system/file.hpp>

#include "ancestry.hpp"
#include "assembly.hpp"
#include "claims.hpp"
#include "holdings.hpp"
#include "oci_index.hpp"
#include "stored_disk.hpp"

namespace goldmill::factory {

namespace fs = std::filesystem;

namespace {

using Kind = CheckFinding::Kind;

constexpr const char* kLeft =
    "left as it is: a command that runs needs it; repair again when that has ended";

class Repair {
 public:
  Repair(Session& session, std::vector<CheckFinding>& findings)
      : session_(session), findings_(findings) {}

  /// What others are made from comes first.
  Result<void> run() {
    images_ = TRY(session_.catalogue.images());
    blobs_ = TRY(session_.catalogue.layer_blobs());
    forget_damaged_steps();
    each("trees/", [this](const fs::path& file) { return restore_tree(file); });
    each("packages/", [this](const fs::path& file) { return drop_package(file); });
    TRY(run_steps_again());
    each("blobs/sha256/", [this](const fs::path& file) { return restore_blob(file); });
    each("disks/", [this](const fs::path& file) { return restore_disk(file); });
    each("snapshots/", [this](const fs::path& directory) -> Result<std::string> {
      TRY(launch::drop_snapshot(session_.home.root(), directory));
      return std::string("removed; the next warm launch makes another");
    });
    each("index.json", [this](const fs::path& /*file*/) -> Result<std::string> {
      TRY(refresh_index(session_));
      return std::string("written again");
    });
    for (CheckFinding& finding : findings_) {
      if (finding.outcome.empty() && finding.kind != Kind::unknown) {
        finding.outcome = finding.object == "catalogue.db"
                              ? "no copy of it is kept: move it away and build the images again; "
                                "steps whose recipes and packages are there run as before"
                              : "nothing is left to make it from";
      }
    }
    return {};
  }

 private:
  using Work = std::function<Result<std::string>(const fs::path& file)>;

  /// Does the work for each broken object whose path begins so, and notes how it ended.
  void each(std::string_view prefix, const Work& work);
  bool is_broken(const fs::path& file) const;
  Result<std::string> restore_tree(const fs::path& tree);
  Result<std::string> drop_package(const fs::path& file);
  Result<void> run_steps_again();
  Result<std::string> restore_blob(const fs::path& blob);
  Result<std::string> restore_layer_blob(const fs::path& file,
                                         const Digest& layer,
                                         const store::LayerBlob& blob);
  Result<std::string> restore_text(const Digest& digest);
  Result<std::string> restore_disk(const fs::path& disk);
  void forget_damaged_steps();
  Result<std::string> assemble_again(store::ImageRecord image,
                                     const std::optional<store::ImageRecord>& parent);
  Result<void> discard(const fs::path& tree);
  /// Any image that stands on it.
  const store::ImageRecord* image_with(const Digest& layer) const;

  Session& session_;
  std::vector<CheckFinding>& findings_;
  std::vector<store::ImageRecord> images_;
  LayerBlobs blobs_;
};

void Repair::each(std::string_view prefix, const Work& work) {
  for (CheckFinding& finding : findings_) {
    if (finding.repaired || finding.kind == Kind::unknown || !finding.object.starts_with(prefix)) {
      continue;
    }
    session_.observer.step_progress("repair", 0, 0);
    const auto outcome = work(session_.home.root() / finding.object);
    finding.repaired = outcome && !outcome->empty();
    finding.outcome = outcome ? *outcome : outcome.error().message;
  }
}

/// Whether a finding that was not repaired names the file.
bool Repair::is_broken(const fs::path& file) const {
  const std::string object = session_.home.name_of(file);
  return std::any_of(findings_.begin(), findings_.end(), [&](const CheckFinding& finding) {
    return finding.object == object && !finding.repaired;
  });
}

/// Moves it out of the way, unless somebody works on it: he would see his files vanish. Who claims
/// it after this finds it gone. Errors: conflict.
Result<void> Repair::discard(const fs::path& tree) {
  const auto trash = TRY(build::WorkDirectory::make(session_.home.root()));
  return session_.catalogue.alone([&]() -> Result<void> {
    if (TRY(living_claims(session_)).contains(session_.home.name_of(tree))) {
      return Error{ErrorKind::conflict, kLeft};
    }
    return build::discard_guest_trees(tree.parent_path(), {tree.filename()}, trash.path());
  });
}

const store::ImageRecord* Repair::image_with(const Digest& layer) const {
  const auto found =
      std::find_if(images_.begin(), images_.end(), [&](const store::ImageRecord& image) {
        const auto layers = layers_of(image);
        return layers && std::find(layers->begin(), layers->end(), layer) != layers->end();
      });
  return found == images_.end() ? nullptr : &*found;
}

/// From its packed blob. Without one the step must run again, see run_steps_again().
Result<std::string> Repair::restore_tree(const fs::path& tree) {
  const Digest layer = TRY(Digest::parse(tree.filename().string()));
  const auto blob = blobs_.find(layer);
  const store::ImageRecord* image = image_with(layer);
  if (blob == blobs_.end() || image == nullptr ||
      is_broken(session_.home.blob(blob->second.blob))) {
    return std::string();
  }
  const std::int64_t epoch = TRY(integer_at(image->details, "epoch"));
  TRY(discard(tree));
  const auto work = TRY(build::WorkDirectory::make(session_.home.root()));
  TRY(build::unpack_tree(
      session_.home.blob(blob->second.blob), layer, epoch, work.path(), session_.home.trees()));
  return std::string("unpacked from its blob");
}

Result<std::string> Repair::drop_package(const fs::path& file) {
  std::error_code failure;
  fs::remove(file, failure);
  if (failure) {
    return system_error("cannot remove " + file.string(), failure.value());
  }
  return std::string("removed: the next build that needs it fetches it");
}

/// Trees and assets that have no other source come from their steps: the images' own recipes,
/// with the packages that are locked. A damaged one goes in any case: nothing must be built on it.
Result<void> Repair::run_steps_again() {
  std::set<std::string> hit;
  std::set<std::string> in_use;
  std::set<std::string> left;
  for (const CheckFinding& finding : findings_) {
    const bool is_made_by_steps =
        finding.object.starts_with("trees/") || finding.object.starts_with("assets/");
    if (!is_made_by_steps || finding.repaired || finding.kind == Kind::unknown) {
      continue;
    }
    const auto gone = finding.kind == Kind::damaged ? discard(session_.home.root() / finding.object)
                                                    : Result<void>();
    if (!gone && gone.error().kind != ErrorKind::conflict) {
      return gone;
    }
    if (!gone) {
      left.insert(finding.object);
    }
    (gone ? hit : in_use).insert(finding.images.begin(), finding.images.end());
  }
  std::set<Digest> known;
  for (const store::ImageRecord& image : images_) {
    known.insert(image.digest);
  }
  std::string why;
  for (const store::ImageRecord& image : images_) {
    const fs::path recipe = find_string(image.details, "recipe_file").value_or("");
    std::error_code ignored;
    if (!hit.contains(image.reference()) || in_use.contains(image.reference()) ||
        !fs::exists(recipe, ignored)) {
      continue;
    }
    session_.observer.note("building " + image.reference() + " again from " + recipe.string());
    BuildRequest request;
    request.recipes = {recipe};
    request.os = find_string(image.details, "os").value_or("");
    if (const Json* set = find_value(image.details, "set")) {
      request.set = set->get<std::map<std::string, std::string>>();
    }
    request.locked = true;
    request.keep_lock = true;
    request.only = known;
    const auto built = build_images(session_, request);
    why = built ? why : built.error().message;
  }
  const auto look = [&](const fs::path& file) -> Result<std::string> {
    std::error_code ignored;
    if (left.contains(session_.home.name_of(file))) {
      return Error{ErrorKind::conflict, kLeft};
    }
    if (fs::is_directory(file, ignored)) {
      return std::string("made by its step again");
    }
    return Error{ErrorKind::not_found,
                 why.empty() ? "the recipe that made it is gone or says something else now: "
                               "nothing is left to make it from"
                             : why};
  };
  each("trees/", look);
  each("assets/", look);
  return {};
}

Result<std::string> Repair::restore_blob(const fs::path& file) {
  const Digest digest = TRY(Digest::parse(file.filename().string()));
  for (const auto& [layer, blob] : blobs_) {
    if (blob.blob == digest) {
      return restore_layer_blob(file, layer, blob);
    }
  }
  std::error_code ignored;
  fs::remove(file, ignored);     // put_blob() takes a file of this length for the right one
  TRY(refresh_index(session_));  // when it was a manifest, it is there again
  return fs::exists(file, ignored) ? std::string("written again") : restore_text(digest);
}

/// Another compressor may give another blob: the layer then has that one.
Result<std::string> Repair::restore_layer_blob(const fs::path& file,
                                               const Digest& layer,
                                               const store::LayerBlob& blob) {
  if (is_broken(session_.home.tree(layer))) {
    return std::string();
  }
  std::error_code ignored;
  fs::remove(file, ignored);
  TRY(session_.catalogue.forget_blob(layer));
  if (const store::ImageRecord* image = image_with(layer)) {
    TRY(pack_images(session_, {{image->reference()}, blob.compression}));
    return std::string("packed again");
  }
  return std::string("forgotten: no image needs it");
}

/// Configs are in the catalogue, package lists in the images' trees.
Result<std::string> Repair::restore_text(const Digest& digest) {
  for (const store::ImageRecord& image : images_) {
    if (image.digest == digest) {
      TRY(session_.home.put_blob(canonical(image.config)));
      return std::string("written again");
    }
    if (find_string(image.details, "disk_clusters") == digest.text()) {
      return assemble_again(image, TRY(parent_of(session_, image)));
    }
    for (const auto& [key, path] : {std::pair("dpkg_status", "/var/lib/dpkg/status"),
                                    std::pair("extended_states", "/var/lib/apt/extended_states")}) {
      if (find_string(image.details, key) != digest.text()) {
        continue;
      }
      const auto trees = TRY(layer_trees(session_, TRY(layers_of(image))));
      build::OverlaySandbox tree({.layers = trees, .epoch = 0});
      auto text = tree.read(path);
      if (!text && text.error().kind != ErrorKind::not_found) {
        return text.error();
      }
      if (TRY(session_.home.put_blob(text ? *text : std::string())) == digest) {
        return std::string("read from the image's tree again");
      }
    }
  }
  return std::string();
}

/// Before anything is built on them. What else is damaged in the catalogue cannot be had again.
void Repair::forget_damaged_steps() {
  const auto is_of_catalogue = [](const CheckFinding& finding) {
    return finding.object == "catalogue.db";
  };
  if (std::none_of(findings_.begin(), findings_.end(), is_of_catalogue)) {
    return;
  }
  const auto forgotten = session_.catalogue.forget_damaged_steps();
  const auto left = session_.catalogue.damage();
  for (CheckFinding& finding : findings_) {
    if (forgotten && left && is_of_catalogue(finding) &&
        std::find(left->begin(), left->end(), finding.why) == left->end()) {
      finding.repaired = true;
      finding.outcome = "forgotten: it runs again when a build asks for it";
    }
  }
}

Result<std::string> Repair::restore_disk(const fs::path& disk) {
  for (const store::ImageRecord& image : images_) {
    if (session_.home.disk(image.digest) == disk) {
      return assemble_again(image, TRY(parent_of(session_, image)));
    }
  }
  // Its image was removed while a variant was built on it: those that stand on it get whole disks.
  std::string outcome;
  for (const store::ImageRecord& image : images_) {
    const auto chain = qcow2::chain_of(session_.home.disk(image.digest));
    if (std::find(chain.begin(), chain.end(), disk) != chain.end()) {
      outcome = TRY(assemble_again(image, std::nullopt));
    }
  }
  return outcome;
}

/// Empty when layers are broken.
Result<std::string> Repair::assemble_again(store::ImageRecord image,
                                           const std::optional<store::ImageRecord>& parent) {
  const DiskParts parts = TRY(parts_of(image));
  for (const Digest& layer : parts.layers) {
    if (is_broken(session_.home.tree(layer))) {
      return std::string();
    }
  }
  describe_disk(TRY(store_disk(session_, parts, image.digest, parent, image.disk_digest)),
                image.details);
  TRY(session_.catalogue.update_details(image));
  return std::string("assembled from its layers again");
}

}  // namespace

Result<void> repair_findings(Session& session, std::vector<CheckFinding>& findings) {
  return Repair(session, findings).run();
}

}  // namespace goldmill::factory
