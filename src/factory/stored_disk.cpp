// SPDX-License-Identifier: GPL-3.0-or-later
#include "stored_disk.hpp"

#include <fcntl.h>

#include <goldmill/exporter/linked_disk.hpp>
#include <goldmill/image/disk.hpp>
#include <goldmill/qcow2/chain.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::factory {

namespace fs = std::filesystem;

namespace {
constexpr const char* kClusters = "disk_clusters";

/// The parent's disk to stand on; nothing when it or its list of clusters is not there, or when too
/// many stand on each other already: the disk is then stored whole.
std::optional<exporter::BackingDisk> backing_of(const Session& session,
                                                const std::optional<store::ImageRecord>& parent) {
  if (!parent) {
    return std::nullopt;
  }
  const auto list = Digest::parse(find_string(parent->details, kClusters).value_or(""));
  const auto files = disk_files(session.home, parent->digest);
  if (!list || !files || files->size() > qcow2::kDeepest) {
    return std::nullopt;
  }
  const auto bytes = session.home.get_blob(*list);
  auto clusters = bytes ? exporter::ClusterMap::parse(*bytes) : bytes.error();
  if (!clusters) {
    return std::nullopt;
  }
  return exporter::BackingDisk{files->front().filename(), std::move(clusters).value()};
}

Result<Digest> digest_of_disk(const fs::path& path) {
  const system::UniqueFd file = TRY(system::open_file(path, O_RDONLY));
  return image::disk_digest(file.get());
}
}  // namespace

void describe_disk(const StoredDisk& disk, Json& details) {
  details["disk_used_bytes"] = disk.used.value;
  details["qcow2_bytes"] = disk.whole.value;
  details["stored_bytes"] = disk.stored.value;
  details[kClusters] = disk.clusters.text();
}

Result<StoredDisk> store_disk(Session& session,
                              const DiskParts& parts,
                              const Digest& image,
                              const std::optional<store::ImageRecord>& parent,
                              const std::optional<Digest>& expected) {
  const AssembledDisk disk = TRY(assemble_disk(session, parts));
  StoredDisk stored;
  stored.used = disk.used;
  session.observer.step_progress("digest", 0, 0);
  stored.digest = TRY(digest_of_disk(disk.path));
  TRY(expected ? check_digest(session, stored.digest, *expected) : Result<void>());
  exporter::Progress progress;
  progress.show = [&session](std::uint64_t done, std::uint64_t total) {
    session.observer.step_progress("compress", done, total);
  };
  progress.is_cancelled = [&session] { return session.observer.is_cancelled(); };
  const fs::path output = session.home.disk(image);
  const exporter::LinkedDisk linked =
      TRY(exporter::write_linked_disk(disk.path, backing_of(session, parent), output, progress));
  stored.whole = linked.whole;
  stored.clusters = TRY(session.home.put_blob(linked.clusters.to_bytes()));
  TRY(session.catalogue.record_content(session.home.name_of(output),
                                       TRY(system::digest_of(output))));
  stored.stored = Bytes{fs::file_size(output)};
  return stored;
}

Result<std::vector<fs::path>> disk_files(const store::Home& home, const Digest& image) {
  std::vector<fs::path> files;
  for (const qcow2::ChainLink& link : TRY(qcow2::open_chain(home.disk(image)))) {
    files.push_back(link.path);
  }
  return files;
}

}  // namespace goldmill::factory
