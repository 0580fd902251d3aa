// SPDX-License-Identifier: GPL-3.0-or-later
// Catalogue: what has been built (steps by key, images by name and version), in SQLite. A row is
// written only when the files that it names are durable.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/store/layer_tree.hpp>
#include <goldmill/store/reference.hpp>

namespace goldmill::store {

/// A step that was done and is never done again.
struct StepRecord {
  Digest key;
  std::string image;  ///< name of the image whose build ran it
  std::string name;
  std::string kind;
  std::optional<Digest> layer;  ///< nullopt: it made assets, which lie under its key
  Json record;  ///< kind, version, options, inputs, their files, parents: what `plan` compares
  Json result;  ///< what the step reported (accounts, counts, ...)
  double seconds = 0;
  std::int64_t created = 0;  ///< seconds since 1970
};

struct StepObject {
  Digest key;
  std::optional<Digest> layer;  ///< nullopt: assets, under the key
  std::int64_t created = 0;
  std::string description;  ///< JSON, as text: names every input by its digest
};

/// A version by its name: what can be said of it when its row is damaged.
struct ImageName {
  std::string name;
  int version = 0;
  std::optional<Digest> digest;  ///< nullopt: it cannot be read
  std::string reference() const { return name + "@" + std::to_string(version); }
};

/// A finished, sealed image version.
struct ImageRecord {
  std::string name;
  int version = 0;  ///< given by add_image
  Digest digest;
  Digest disk_digest;
  Json config;   ///< the OCI config whose digest is `digest`
  Json details;  ///< parent, layers with their steps, packages, sizes, layout, seconds, promises
  std::int64_t created = 0;
  std::string reference() const { return name + "@" + std::to_string(version); }
  ImageName version_name() const { return {name, version, digest}; }
};

/// A version whose row is not what was written. No other answer of the catalogue has it.
struct DamagedImage : ImageName {
  std::string why;
  /// From what is left of the details; nothing for what is not.
  std::string recipe_file = {};
  std::string os = {};
  std::map<std::string, std::string> set = {};
};

/// Rows that are not what was written and whose contents can be had again.
struct DamagedRows {
  std::vector<std::string> steps;     ///< names
  std::vector<std::string> blobs;     ///< of layers, by their diff_ids as they stand there
  std::vector<std::string> contents;  ///< objects
  /// A line about each.
  std::vector<std::string> lines() const;
};

/// A layer as an OCI blob: the same tar, compressed.
struct LayerBlob {
  Digest blob;
  std::uint64_t size = 0;  ///< in bytes
  Compression compression = Compression::zstd;
};

class Catalogue {
 public:
  static Result<Catalogue> open(const std::filesystem::path& file);
  Catalogue(Catalogue&&) noexcept;
  Catalogue& operator=(Catalogue&&) noexcept;
  ~Catalogue();

  Result<std::optional<StepRecord>> find_step(const Digest& key);
  Result<void> record_step(const StepRecord& step);
  /// Whether a step counts as done with this layer, which is durable then.
  Result<bool> vouches_for(const Digest& layer);
  /// The steps of this name that the image's builds ran last, newest first.
  Result<std::vector<StepRecord>> newest_steps(const std::string& image,
                                               const std::string& name,
                                               int most);
  /// The image's steps of this kind whose record has the same "parents", newest first.
  Result<std::vector<StepRecord>> newest_steps_on(const std::string& image,
                                                  const std::string& kind,
                                                  const Json& parents,
                                                  int most);

  /// Gives the next version of the name, or the version that has this digest already; where the row
  /// of that is damaged, it is written anew.
  Result<ImageRecord> add_image(ImageRecord image);
  /// Replaces the details of a version (a promise report, say). Errors: corrupt, when its row is
  /// not what was written.
  Result<void> update_details(const ImageRecord& image);
  /// Errors: not_found, naming what there is; corrupt, when its row is damaged.
  Result<ImageRecord> find_image(const ImageReference& reference);
  Result<std::optional<ImageRecord>> find_image_by_digest(const Digest& digest);
  Result<std::vector<ImageRecord>> images();
  /// Those that stand on it, damaged ones, too.
  Result<std::vector<ImageName>> children_of(const Digest& digest);
  Result<std::vector<DamagedImage>> damaged_images();
  /// Restores what the rest of the row proves by its checksum: the parent, the digest, and the
  /// config, of which `config` is a copy or "". False when that is not all.
  Result<bool> mend_image(const ImageName& image, const std::string& config);
  /// `allowed` is asked in the same transaction. Errors: its own.
  Result<void> remove_image(const ImageName& image, const std::function<Result<void>()>& allowed);
  /// Says that a live process relies on objects, by their paths below the home.
  Result<void> claim(const std::string& owner, const std::vector<std::string>& objects);
  Result<void> remove_claims(const std::string& owner);
  /// (owner, object) of all.
  Result<std::vector<std::pair<std::string, std::string>>> claims();
  /// What every step made.
  Result<std::vector<StepObject>> step_objects();
  Result<void> forget_step(const Digest& key);
  /// The layer's blob in OCI layouts from now on.
  Result<void> record_blob(const Digest& layer, const LayerBlob& blob);
  Result<std::map<Digest, LayerBlob>> layer_blobs();
  Result<void> forget_blob(const Digest& layer);
  /// What a file or tree that is not named by its content held when it was made; `object` is its
  /// path below the home.
  Result<void> record_content(const std::string& object, const Digest& content);
  Result<std::map<std::string, Digest>> contents();
  Result<void> forget_content(const std::string& object);
  /// What SQLite finds wrong in its own file.
  Result<std::vector<std::string>> damage();
  Result<DamagedRows> damaged_rows();
  /// Tells which they were. Steps run again when they are asked for.
  Result<DamagedRows> forget_damaged_rows();
  /// Nobody else writes while `work` runs; what it wrote is undone when it fails.
  Result<void> alone(const std::function<Result<void>()>& work);
  Result<std::vector<std::string>> channels_of(const ImageRecord& image);
  Result<void> set_channel(const std::string& name, const std::string& channel, int version);

 private:
  struct Database;
  explicit Catalogue(std::unique_ptr<Database> database);
  std::unique_ptr<Database> database_;
};

}  // namespace goldmill::store
