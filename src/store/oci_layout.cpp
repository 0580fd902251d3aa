// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/store/oci_layout.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::store {

namespace {
constexpr const char* kManifestType = "application/vnd.oci.image.manifest.v1+json";

Json descriptor(const std::string& media_type, const Digest& digest, std::uint64_t size) {
  return {{"mediaType", media_type}, {"digest", digest.text()}, {"size", size}};
}
}  // namespace

Json oci_manifest(const Digest& config,
                  std::uint64_t config_size,
                  const std::vector<LayerBlob>& layers) {
  Json list = Json::array();
  for (const LayerBlob& layer : layers) {
    const bool gzip = layer.compression == Compression::gzip;
    list.push_back(descriptor(
        std::string("application/vnd.oci.image.layer.v1.tar+") + (gzip ? "gzip" : "zstd"),
        layer.blob,
        layer.size));
  }
  return {{"schemaVersion", 2},
          {"mediaType", kManifestType},
          {"config", descriptor("application/vnd.oci.image.config.v1+json", config, config_size)},
          {"layers", std::move(list)}};
}

std::string index_text(const std::vector<IndexedImage>& images) {
  Json manifests = Json::array();
  for (const IndexedImage& image : images) {
    Json entry = descriptor(kManifestType, image.manifest, image.size);
    entry["annotations"] = {{"org.opencontainers.image.ref.name", image.name}};
    manifests.push_back(std::move(entry));
  }
  const Json index = {{"schemaVersion", 2},
                      {"mediaType", "application/vnd.oci.image.index.v1+json"},
                      {"manifests", std::move(manifests)}};
  return canonical(index) + "\n";
}

Result<void> write_index(const Home& home, const std::vector<IndexedImage>& images) {
  const std::string text = index_text(images);
  const auto before = system::read_file(home.index());
  if (before && *before == text) {
    return {};
  }
  return system::write_file(home.index(), text);
}

}  // namespace goldmill::store
