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
constexpr const char* kUnproven = "forgotten: nothing is left to prove it by";

class Repair {
 public:
  Repair(Session& session, std::vector<CheckFinding>& findings)
      : session_(session), findings_(findings) {}

  /// What others are made from comes first.
  Result<void> run() {
    if (auto index = system::read_file(session_.home.index())) {
      indexed_ = *std::move(index);
    }
    TRY(forget_damaged_rows());
    each_damaged_image([this](const store::DamagedImage& image) { return mend(image); });
    images_ = TRY(session_.catalogue.images());
    blobs_ = TRY(session_.catalogue.layer_blobs());
    each("trees/", [this](const fs::path& file) { return restore_tree(file); });
    each("packages/", [this](const fs::path& file) { return drop_package(file); });
    TRY(run_steps_again());
    each_damaged_image([this](const store::DamagedImage& image) { return build_again(image); });
    images_ = TRY(session_.catalogue.images());
    for (const std::string& layer : forgotten_.blobs) {
      tell({{}, {layer}, {}}, pack_again());
    }
    for (const std::string& object : forgotten_.contents) {
      tell({{}, {}, {object}}, note_content(object));
    }
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
        finding.outcome = why_not(finding);
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
  static std::string why_not(const CheckFinding& finding);
  Result<void> forget_damaged_rows();
  /// What became of these rows, which are forgotten.
  void tell(const store::DamagedRows& rows, const Result<std::string>& outcome);
  bool was_packed(const store::ImageRecord& image) const;
  Result<std::string> pack_again();
  store::Compression compression_of(const store::ImageRecord& image) const;
  Result<std::string> note_content(const std::string& object);
  using ImageWork = std::function<Result<std::string>(const store::DamagedImage& image)>;
  /// The same for each image whose row is damaged.
  void each_damaged_image(const ImageWork& work);
  Result<std::string> mend(const store::DamagedImage& image);
  Result<std::string> build_again(const store::DamagedImage& image);
  Result<void> build_again(const std::string& image,
                           const fs::path& recipe,
                           const std::string& os,
                           const std::map<std::string, std::string>& set);
  Result<std::string> assemble_again(store::ImageRecord image,
                                     const std::optional<store::ImageRecord>& parent);
  Result<void> discard(const fs::path& tree);
  /// Any image that stands on it.
  const store::ImageRecord* image_with(const Digest& layer) const;

  Session& session_;
  std::vector<CheckFinding>& findings_;
  std::string indexed_;  ///< the OCI index as it was
  store::DamagedRows forgotten_;
  std::vector<store::ImageRecord> images_;
  LayerBlobs blobs_;
};

std::string Repair::why_not(const CheckFinding& finding) {
  if (finding.object != kCatalogue) {
    return "nothing is left to make it from";
  }
  return finding.images.empty()
             ? "no copy of it is kept: move it away and build the images again; steps whose "
               "recipes and packages are there run as before"
             : "no copy of it is kept: remove it (goldmill rm " + finding.images.front() +
                   ") and build it again";
}

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
  std::string why;
  for (const store::ImageRecord& image : images_) {
    const fs::path recipe = find_string(image.details, "recipe_file").value_or("");
    std::error_code ignored;
    if (!hit.contains(image.reference()) || in_use.contains(image.reference()) ||
        !fs::exists(recipe, ignored)) {
      continue;
    }
    const Json* set = find_value(image.details, "set");
    const auto built = build_again(image.reference(),
                                   recipe,
                                   find_string(image.details, "os").value_or(""),
                                   set == nullptr ? std::map<std::string, std::string>()
                                                  : set->get<std::map<std::string, std::string>>());
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

/// Before anything is built on them.
Result<void> Repair::forget_damaged_rows() {
  forgotten_ = TRY(session_.catalogue.forget_damaged_rows());
  tell({forgotten_.steps, {}, {}},
       std::string("forgotten: it runs again when a build asks for it"));
  return {};
}

void Repair::tell(const store::DamagedRows& rows, const Result<std::string>& outcome) {
  const auto lines = rows.lines();
  for (CheckFinding& finding : findings_) {
    if (finding.object == kCatalogue &&
        std::find(lines.begin(), lines.end(), finding.why) != lines.end()) {
      finding.repaired = outcome && !outcome->empty();
      finding.outcome = outcome ? *outcome : outcome.error().message;
    }
  }
}

void Repair::each_damaged_image(const ImageWork& work) {
  const auto damaged = session_.catalogue.damaged_images();
  for (const store::DamagedImage& image : damaged ? *damaged : std::vector<store::DamagedImage>()) {
    const std::vector<std::string> about = {image.reference()};
    for (CheckFinding& finding : findings_) {
      if (finding.object == kCatalogue && finding.images == about && !finding.repaired) {
        const auto outcome = work(image);
        finding.repaired = outcome && !outcome->empty();
        finding.outcome = outcome ? *outcome : outcome.error().message;
      }
    }
  }
}

/// From the rest of its row, and of the config, which is a blob, too.
Result<std::string> Repair::mend(const store::DamagedImage& image) {
  const auto config =
      image.digest ? session_.home.get_blob(*image.digest) : Result<std::string>(std::string());
  if (!TRY(session_.catalogue.mend_image(image, config ? *config : ""))) {
    return std::string();
  }
  TRY(refresh_index(session_));
  return std::string("put right from the rest of what it says");
}

/// Its steps are done: it takes a disk. The version stays the same.
Result<std::string> Repair::build_again(const store::DamagedImage& image) {
  std::error_code ignored;
  if (!image.digest || image.recipe_file.empty() || !fs::exists(image.recipe_file, ignored)) {
    return std::string();
  }
  TRY(build_again(image.reference(), image.recipe_file, image.os, image.set));
  for (const store::DamagedImage& left : TRY(session_.catalogue.damaged_images())) {
    if (left.reference() == image.reference()) {
      return std::string();
    }
  }
  TRY(refresh_index(session_));
  return std::string("built again from its recipe; tests of it are forgotten");
}

/// With the locked packages; nothing may come of it but what was there.
Result<void> Repair::build_again(const std::string& image,
                                 const fs::path& recipe,
                                 const std::string& os,
                                 const std::map<std::string, std::string>& set) {
  session_.observer.note("building " + image + " again from " + recipe.string());
  BuildRequest request;
  request.recipes = {recipe};
  request.os = os;
  request.set = set;
  request.locked = true;
  request.keep_lock = true;
  for (const store::ImageRecord& known : images_) {
    request.only.insert(known.digest);
  }
  for (const store::DamagedImage& damaged : TRY(session_.catalogue.damaged_images())) {
    request.only.insert(damaged.digest.value_or(Digest()));
  }
  TRY(build_images(session_, request));
  return {};
}

/// By the index, which may have been written since, or because only what was forgotten is missing.
bool Repair::was_packed(const store::ImageRecord& image) const {
  const auto layers = layers_of(image);
  const auto& forgotten = forgotten_.blobs;
  const bool lacks_no_other =
      layers && std::all_of(layers->begin(), layers->end(), [&](const Digest& layer) {
        return blobs_.contains(layer) ||
               std::find(forgotten.begin(), forgotten.end(), layer.hex()) != forgotten.end();
      });
  return lacks_no_other || indexed_.find('"' + image.reference() + '"') != std::string::npos;
}

/// Images that without the rows that were forgotten are packed no more.
Result<std::string> Repair::pack_again() {
  for (const store::ImageRecord& image : images_) {
    if (was_packed(image) && !manifest_of(image, blobs_)) {
      TRY(pack_images(session_, {{image.reference()}, compression_of(image)}));
    }
  }
  blobs_ = TRY(session_.catalogue.layer_blobs());
  return std::string("packed again where an image was");
}

/// As its other layers are packed.
store::Compression Repair::compression_of(const store::ImageRecord& image) const {
  const auto layers = layers_of(image);
  for (const Digest& layer : layers ? *layers : std::vector<Digest>()) {
    if (const auto blob = blobs_.find(layer); blob != blobs_.end()) {
      return blob->second.compression;
    }
  }
  return store::Compression::zstd;
}

/// What a disk and the files of its boot loader hold is proven by the disk's digest.
Result<std::string> Repair::note_content(const std::string& object) {
  const fs::path path = session_.home.root() / object;
  if (object.starts_with("disks/")) {
    const std::string restored = TRY(restore_disk(path));
    return restored.empty() ? std::string(kUnproven) : restored;
  }
  for (const store::ImageRecord& image : images_) {
    const auto parts = parts_of(image);
    if (parts && session_.home.assets(parts->assets) == path &&
        !TRY(assemble_again(image, TRY(parent_of(session_, image)))).empty()) {
      TRY(session_.catalogue.record_content(object, TRY(build::identify_tree(path))));
      return std::string("noted again: they give the disk that they gave");
    }
  }
  return std::string(kUnproven);
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
