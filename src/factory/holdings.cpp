// SPDX-License-Identifier: GPL-3.0-or-later
#include "holdings.hpp"

#include <sys/stat.h>

#include <goldmill/qcow2/chain.hpp>

#include "oci_index.hpp"

namespace goldmill::factory {

namespace {

Result<Digest> digest_at(const Json& details, const char* key) {
  return Digest::parse(find_string(details, key).value_or(""));
}

Result<std::vector<std::filesystem::path>> files_of(const store::Home& home,
                                                    const store::ImageRecord& image,
                                                    const LayerBlobs& blobs) {
  std::vector<std::filesystem::path> files = qcow2::chain_of(home.disk(image.digest));
  files.push_back(home.blob(image.digest));
  if (const auto clusters = digest_at(image.details, "disk_clusters")) {
    files.push_back(home.blob(*clusters));  // an earlier goldmill's image has none
  }
  for (const char* key : {"dpkg_status", "extended_states"}) {
    files.push_back(home.blob(TRY(digest_at(image.details, key))));
  }
  files.push_back(home.assets(TRY(digest_at(image.details, "assets"))));
  for (const Digest& layer : TRY(layers_of(image))) {
    files.push_back(home.tree(layer));
    if (const auto blob = blobs.find(layer); blob != blobs.end()) {
      files.push_back(home.blob(blob->second.blob));
    }
  }
  if (const auto manifest = manifest_of(image, blobs)) {
    files.push_back(home.blob(sha256(*manifest)));
  }
  return files;
}

}  // namespace

bool may_wait_for_image(const std::filesystem::path& blob) {
  return came_at(blob) > std::chrono::system_clock::now() - std::chrono::hours(1);
}

std::chrono::system_clock::time_point came_at(const std::filesystem::path& path) {
  using Clock = std::chrono::system_clock;
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? Clock::from_time_t(status.st_ctime) : Clock::now();
}

Result<std::vector<Digest>> layers_of(const store::ImageRecord& image) {
  std::vector<Digest> layers;
  for (const std::string& text : find_strings(image.details, "layers")) {
    layers.push_back(TRY(Digest::parse(text)));
  }
  return layers;
}

Result<Holdings> holdings_of_images(Session& session, const std::set<Digest>& without) {
  const LayerBlobs blobs = TRY(session.catalogue.layer_blobs());
  Holdings holdings;
  for (const store::ImageRecord& image : TRY(session.catalogue.images())) {
    if (without.contains(image.digest)) {
      continue;
    }
    for (const auto& file :
         TRY(files_of(session.home, image, blobs).context("details of " + image.reference()))) {
      holdings[session.home.name_of(file)].push_back(image.reference());
    }
  }
  return holdings;
}

}  // namespace goldmill::factory
