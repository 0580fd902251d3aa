// SPDX-License-Identifier: GPL-3.0-or-later
// Home: where goldmill keeps its state ($GOLDMILL_HOME), and what lies where in it.
#pragma once

#include <filesystem>
#include <string>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::store {

/// The directory is 0700, since layers hold shadow files. trees/ and work/ inside it are open to
/// guest ids, which cannot reach them but through descriptors that we hand over.
class Home {
 public:
  /// $GOLDMILL_HOME, or goldmill in the XDG data directory; made when missing.
  /// Errors: unavailable, conflict (made by a newer goldmill).
  static Result<Home> open();
  static Result<Home> open(const std::filesystem::path& root);

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path catalogue() const { return root_ / "catalogue.db"; }
  std::filesystem::path trees() const { return root_ / "trees"; }
  std::filesystem::path tree(const Digest& layer) const { return trees() / layer.hex(); }
  std::filesystem::path work() const { return root_ / "work"; }
  std::filesystem::path packages() const { return root_ / "packages"; }
  std::filesystem::path archives() const { return root_ / "archives"; }
  std::filesystem::path keyrings() const { return root_ / "keyrings"; }
  std::filesystem::path blob(const Digest& digest) const { return blobs() / digest.hex(); }
  std::filesystem::path index() const { return root_ / "index.json"; }
  std::filesystem::path blobs() const { return root_ / "blobs" / "sha256"; }
  std::filesystem::path disk(const Digest& image) const {
    return root_ / "disks" / (image.hex() + ".qcow2");
  }
  /// What launch keeps to start warm instances of an image.
  std::filesystem::path snapshots() const { return root_ / "snapshots"; }
  std::filesystem::path snapshots(const Digest& image) const { return snapshots() / image.hex(); }
  std::filesystem::path assets(const Digest& key) const { return root_ / "assets" / key.hex(); }
  /// A path of this home as it is said in the catalogue: "trees/HEX".
  std::string name_of(const std::filesystem::path& path) const {
    return path.lexically_relative(root_).string();
  }
  std::filesystem::path logs() const { return root_ / "logs"; }
  /// What failed tests of an image version left: screens and serial logs.
  std::filesystem::path evidence(const std::string& image, int version) const {
    return logs() / (image + "." + std::to_string(version));
  }

  /// Stores bytes under their digest; a second time is free.
  Result<Digest> put_blob(std::string_view content) const;
  /// Reads them back, verified. Errors: not_found, corrupt.
  Result<std::string> get_blob(const Digest& digest) const;

 private:
  explicit Home(std::filesystem::path root) : root_(std::move(root)) {}
  std::filesystem::path root_;
};

}  // namespace goldmill::store
