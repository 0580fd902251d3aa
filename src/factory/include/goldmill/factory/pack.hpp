// SPDX-License-Identifier: GPL-3.0-or-later
// Packing: an image's layers as OCI blobs, so that the home is an OCI image layout which other
// tools read. Trees serve builds without it; it is done when somebody asks.
#pragma once

#include <string>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/factory/session.hpp>

namespace goldmill::factory {

struct PackRequest {
  std::vector<std::string> images;  ///< none: all
  store::Compression compression = store::Compression::zstd;
};

struct PackedImage {
  std::string image;  ///< as the index names it: "java@3"
  Digest manifest;
  Bytes size;  ///< of all its blobs
  std::size_t layers = 0;
  std::size_t packed = 0;  ///< of these now
  Json to_json() const;
};

/// Packs what of the images is not packed yet, and names them in the layout's index.
/// Errors: not_found, corrupt when a layer is no longer what it was.
Result<std::vector<PackedImage>> pack_images(Session& session, const PackRequest& request);

}  // namespace goldmill::factory
