// SPDX-License-Identifier: GPL-3.0-or-later
#include "oci_index.hpp"

#include <functional>

#include <goldmill/system/file.hpp>

#include "holdings.hpp"

namespace goldmill::factory {

std::optional<std::string> manifest_of(const store::ImageRecord& image, const LayerBlobs& blobs) {
  const auto layers = layers_of(image);
  if (!layers) {
    return std::nullopt;
  }
  std::vector<store::LayerBlob> packed;
  for (const Digest& layer : *layers) {
    const auto found = blobs.find(layer);
    if (found == blobs.end()) {
      return std::nullopt;
    }
    packed.push_back(found->second);
  }
  return canonical(store::oci_manifest(image.digest, canonical(image.config).size(), packed));
}

namespace {
/// `take` is told each manifest, and the index's entries are given back.
Result<std::vector<store::IndexedImage>> index_of(
    Session& session, const std::function<Result<void>(const std::string& manifest)>& take) {
  const LayerBlobs blobs = TRY(session.catalogue.layer_blobs());
  std::vector<store::IndexedImage> indexed;
  for (const store::ImageRecord& image : TRY(session.catalogue.images())) {
    const auto manifest = manifest_of(image, blobs);
    if (!manifest) {
      continue;
    }
    TRY(take(*manifest));
    std::vector<std::string> names = {image.reference()};
    for (const std::string& channel : TRY(session.catalogue.channels_of(image))) {
      names.push_back(image.name + ":" + channel);
    }
    for (const std::string& name : names) {
      indexed.push_back({name, sha256(*manifest), manifest->size()});
    }
  }
  return indexed;
}
}  // namespace

Result<std::vector<store::IndexedImage>> indexed_images(Session& session) {
  return index_of(session, [](const std::string& /*manifest*/) { return Result<void>(); });
}

Result<void> refresh_index(Session& session) {
  const auto alone = TRY(system::FileLock::acquire(session.home.root() / "index.lock",
                                                   system::FileLock::Mode::exclusive));
  const auto images =
      TRY(index_of(session, [&session](const std::string& manifest) -> Result<void> {
        TRY(session.home.put_blob(manifest));
        return {};
      }));
  return store::write_index(session.home, images);
}

}  // namespace goldmill::factory
