// SPDX-License-Identifier: GPL-3.0-or-later
// Catalogue: what has been built (steps by key, images by name and version), in SQLite. A row is
// written only when the files that it names are durable.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/store/reference.hpp>

namespace goldmill::store {

/// A step that was done and is never done again.
struct StepRecord {
  Digest key;
  std::string image;  ///< name of the image whose build ran it
  std::string name;
  std::string kind;
  std::optional<Digest> layer;  ///< nullopt: it made assets, which lie under its key
  Json description;  ///< kind, version, options, inputs, parents: what `explain` compares
  Json result;       ///< what the step reported (accounts, counts, ...)
  double seconds = 0;
  std::int64_t created = 0;  ///< seconds since 1970
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
};

class Catalogue {
 public:
  static Result<Catalogue> open(const std::filesystem::path& file);
  Catalogue(Catalogue&&) noexcept;
  Catalogue& operator=(Catalogue&&) noexcept;
  ~Catalogue();

  Result<std::optional<StepRecord>> find_step(const Digest& key);
  Result<void> record_step(const StepRecord& step);
  /// The newest step of this name that the image's builds ran: what `explain` compares with.
  Result<std::optional<StepRecord>> newest_step(const std::string& image, const std::string& name);

  /// Gives the next version of the name, or the version that has this digest already.
  Result<ImageRecord> add_image(ImageRecord image);
  /// Replaces the details of a version (a promise report, say).
  Result<void> update_details(const ImageRecord& image);
  /// Errors: not_found, naming what there is.
  Result<ImageRecord> find_image(const ImageReference& reference);
  Result<std::optional<ImageRecord>> find_image_by_digest(const Digest& digest);
  Result<std::vector<ImageRecord>> images();
  Result<std::vector<ImageRecord>> children_of(const Digest& digest);
  Result<void> remove_image(const ImageRecord& image);
  Result<void> set_channel(const std::string& name, const std::string& channel, int version);

 private:
  struct Database;
  explicit Catalogue(std::unique_ptr<Database> database);
  std::unique_ptr<Database> database_;
};

}  // namespace goldmill::store
