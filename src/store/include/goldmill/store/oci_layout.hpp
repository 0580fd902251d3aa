// SPDX-License-Identifier: GPL-3.0-or-later
// The home as an OCI image layout (OCI image spec, image-layout.md): index.json names the images
// whose layers are packed, so that skopeo, umoci and podman read them where they lie.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/store/catalogue.hpp>
#include <goldmill/store/home.hpp>

namespace goldmill::store {

/// The manifest of an image; nothing else than its parts decides on its bytes.
Json oci_manifest(const Digest& config,
                  std::uint64_t config_size,
                  const std::vector<LayerBlob>& layers);

struct IndexedImage {
  std::string name;  ///< as it is copied: "java@3", "java:stable"
  Digest manifest;
  std::uint64_t size = 0;  ///< of the manifest
};

/// Writes index.json when it says something else. Writers must exclude each other.
Result<void> write_index(const Home& home, const std::vector<IndexedImage>& images);
/// The text that write_index() would write.
std::string index_text(const std::vector<IndexedImage>& images);

}  // namespace goldmill::store
