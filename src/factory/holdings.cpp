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

bool is_new(const std::filesystem::path& path) {
  return came_at(path) > std::chrono::system_clock::now() - std::chrono::hours(1);
}

bool is_of_disk(const std::filesystem::path& path) {
  return path.filename() == "lost+found";
}

std::vector<std::string> strays_of(const store::Home& home) {
  const std::filesystem::path blobs = home.root() / "blobs";
  std::vector<std::string> strays;
  std::error_code ignored;
  for (const std::filesystem::path& area : {blobs, home.packages()}) {
    for (const auto& entry : std::filesystem::directory_iterator(area, ignored)) {
      const std::string name = entry.path().filename();
      const bool is_ours =
          area == blobs ? name == "sha256" : name == "partial" || name.ends_with(".deb");
      const bool may_be_moving = Digest::parse(name.substr(0, 64)) && is_new(entry.path());
      if (!is_ours && !is_of_disk(entry.path()) && !may_be_moving) {
        strays.push_back(home.name_of(entry.path()));
      }
    }
  }
  return strays;
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
  for (const store::DamagedImage& image : TRY(session.catalogue.damaged_images())) {
    holdings.untold[image.reference()] = image.why;
  }
  for (const store::ImageRecord& image : TRY(session.catalogue.images())) {
    if (without.contains(image.digest)) {
      continue;
    }
    const auto files = files_of(session.home, image, blobs);
    if (!files) {
      holdings.untold[image.reference()] = files.error().message;
      continue;
    }
    for (const auto& file : *files) {
      holdings.objects[session.home.name_of(file)].push_back(image.reference());
    }
  }
  return holdings;
}

}  // namespace goldmill::factory
