// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/build/stored_layer.hpp>
#include <goldmill/build/work.hpp>
#include <goldmill/factory/pack.hpp>
#include <goldmill/store/reference.hpp>
#include <goldmill/system/file.hpp>

#include "assembly.hpp"
#include "claims.hpp"
#include "holdings.hpp"
#include "oci_index.hpp"

namespace goldmill::factory {

namespace fs = std::filesystem;

namespace {

Result<std::vector<store::ImageRecord>> wanted_images(Session& session,
                                                      const std::vector<std::string>& names) {
  if (names.empty()) {
    return session.catalogue.images();
  }
  std::vector<store::ImageRecord> images;
  images.reserve(names.size());
  for (const std::string& name : names) {
    images.push_back(TRY(session.catalogue.find_image(TRY(store::ImageReference::parse(name)))));
  }
  return images;
}

/// The blob gets its name before the catalogue names it.
Result<store::LayerBlob> pack_layer(Session& session,
                                    Claims& claims,
                                    const Digest& layer,
                                    store::Compression compression) {
  const auto work = TRY(build::WorkDirectory::make(session.home.root()));
  const fs::path file = work.path() / "blob";
  const auto trees = TRY(layer_trees(session, {layer}));
  const store::PackedLayer packed = TRY(build::pack_tree(trees.front(), compression, file));
  if (packed.facts.diff_id != layer) {
    return Error{ErrorKind::corrupt,
                 "layer " + layer.text() + " is no longer what it was",
                 "goldmill check --repair makes it again"};
  }
  TRY(claims.add({session.home.name_of(session.home.blob(packed.blob))}));
  const auto named = system::rename_into_place(file, session.home.blob(packed.blob));
  if (!named && named.error().kind != ErrorKind::conflict) {
    return named.error();
  }
  const store::LayerBlob blob{packed.blob, packed.size, compression};
  TRY(session.catalogue.record_blob(layer, blob));
  return blob;
}

class Packing {
 public:
  Packing(Session& session, const PackRequest& request, LayerBlobs blobs)
      : session_(session), request_(request), claims_(session), blobs_(std::move(blobs)) {}

  Result<PackedImage> pack(const store::ImageRecord& image) {
    PackedImage report;
    report.image = image.reference();
    const std::vector<Digest> layers = TRY(layers_of(image));
    std::vector<std::string> trees;
    trees.reserve(layers.size());
    for (const Digest& layer : layers) {
      trees.push_back(session_.home.name_of(session_.home.tree(layer)));
    }
    TRY(claims_.add(trees));
    session_.observer.step_started(image.reference(), "pack", "");
    for (const Digest& layer : layers) {
      session_.observer.step_progress("layers", ++report.layers, layers.size());
      if (!is_packed(layer)) {
        blobs_[layer] = TRY(pack_layer(session_, claims_, layer, request_.compression));
        ++report.packed;
      }
      report.size.value += blobs_.at(layer).size;
    }
    const std::string manifest = manifest_of(image, blobs_).value_or("");
    report.manifest = sha256(manifest);
    report.size.value += manifest.size() + canonical(image.config).size();
    return report;
  }

 private:
  bool is_packed(const Digest& layer) const {
    const auto known = blobs_.find(layer);
    std::error_code failure;
    return known != blobs_.end() && known->second.compression == request_.compression &&
           fs::file_size(session_.home.blob(known->second.blob), failure) == known->second.size;
  }

  Session& session_;
  const PackRequest& request_;
  Claims claims_;
  LayerBlobs blobs_;
};

}  // namespace

Json PackedImage::to_json() const {
  return {{"image", image},
          {"manifest", manifest.text()},
          {"bytes", size.value},
          {"layers", layers},
          {"packed", packed}};
}

Result<std::vector<PackedImage>> pack_images(Session& session, const PackRequest& request) {
  Packing packing(session, request, TRY(session.catalogue.layer_blobs()));
  std::vector<PackedImage> reports;
  for (const store::ImageRecord& image : TRY(wanted_images(session, request.images))) {
    if (session.observer.is_cancelled()) {
      return Error{ErrorKind::cancelled, "packing was cancelled"};
    }
    reports.push_back(TRY(packing.pack(image)));
  }
  TRY(refresh_index(session));
  return reports;
}

}  // namespace goldmill::factory
