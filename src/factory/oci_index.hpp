// SPDX-License-Identifier: GPL-3.0-or-later
// The OCI index follows the catalogue: it names each image whose layers are all packed.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/factory/session.hpp>
#include <goldmill/store/oci_layout.hpp>

namespace goldmill::factory {

using LayerBlobs = std::map<Digest, store::LayerBlob>;

/// The image's manifest as stored; nothing while a layer is not packed.
std::optional<std::string> manifest_of(const store::ImageRecord& image, const LayerBlobs& blobs);

/// What the index has to say: every version that is packed, and its channels.
Result<std::vector<store::IndexedImage>> indexed_images(Session& session);

/// Writes manifests and index anew. To be called after every change of what is there.
Result<void> refresh_index(Session& session);

}  // namespace goldmill::factory
