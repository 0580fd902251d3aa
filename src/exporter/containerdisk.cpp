// SPDX-License-Identifier: GPL-3.0-or-later
// containerdisk: a container image that holds the disk, as KubeVirt starts machines from: an
// archive of an OCI image layout, with one layer, in which /disk/disk.qcow2 belongs to QEMU's user
// there (107). skopeo copies it to a registry: skopeo copy oci-archive:FILE docker://... Formats:
// OCI image-spec 1.0, image-layout.md, config.md, layer.md; KubeVirt,
// docs/container-register-disks.md.
#include <memory>

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/system/file.hpp>

#include "formats.hpp"
#include "output_file.hpp"
#include "qcow2_writer.hpp"

namespace goldmill::exporter {

namespace {
constexpr std::int64_t kQemuUser = 107;

/// A tar archive, the same bytes from the same content; and their digest.
class Archive {
 public:
  explicit Archive(int file) : archive_(::archive_write_new()), file_(file) {}
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;
  ~Archive() { ::archive_write_free(archive_); }

  Result<void> open() {
    const bool opened =
        ::archive_write_set_format_pax_restricted(archive_) == ARCHIVE_OK &&
        ::archive_write_open(archive_, this, nullptr, &Archive::take, nullptr) == ARCHIVE_OK;
    return opened ? Result<void>() : failure();
  }

  Result<void> add_directory(const std::string& name, std::int64_t owner) {
    return add_header(name, AE_IFDIR, 0755, 0, owner);
  }

  Result<void> add(const std::string& name, std::string_view content) {
    TRY(add_header(name, AE_IFREG, 0644, content.size(), 0));
    return write(content);
  }

  /// A file from its beginning.
  Result<void> add(const std::string& name, int content, std::int64_t owner) {
    const off_t size = ::lseek(content, 0, SEEK_END);
    ::lseek(content, 0, SEEK_SET);
    TRY(add_header(name, AE_IFREG, 0644, static_cast<std::uint64_t>(size), owner));
    return system::read_pieces(content, [this](std::string_view piece) { return write(piece); });
  }

  /// What was written, when all is.
  Result<Digest> finish() {
    return ::archive_write_close(archive_) == ARCHIVE_OK ? Result<Digest>(hash_.finish())
                                                         : Result<Digest>(failure());
  }

 private:
  Result<void> add_header(const std::string& name,
                          unsigned type,
                          unsigned mode,
                          std::uint64_t size,
                          std::int64_t owner) {
    const std::unique_ptr<archive_entry, decltype(&::archive_entry_free)> entry(
        ::archive_entry_new(), &::archive_entry_free);
    ::archive_entry_set_pathname(entry.get(), name.c_str());
    ::archive_entry_set_filetype(entry.get(), type);
    ::archive_entry_set_perm(entry.get(), mode);
    ::archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
    ::archive_entry_set_uid(entry.get(), owner);
    ::archive_entry_set_gid(entry.get(), owner);
    ::archive_entry_set_mtime(entry.get(), 0, 0);
    return ::archive_write_header(archive_, entry.get()) == ARCHIVE_OK ? Result<void>() : failure();
  }

  Result<void> write(std::string_view bytes) {
    return ::archive_write_data(archive_, bytes.data(), bytes.size()) ==
                   static_cast<la_ssize_t>(bytes.size())
               ? Result<void>()
               : failure();
  }

  static la_ssize_t take(archive* /*archive*/, void* self, const void* data, std::size_t size) {
    auto& ours = *static_cast<Archive*>(self);
    const std::string_view bytes(static_cast<const char*>(data), size);
    ours.hash_.update(bytes);
    ours.written_ = system::write_all(ours.file_, bytes);
    return ours.written_ ? static_cast<la_ssize_t>(size) : -1;
  }

  Error failure() const {
    if (!written_) {
      return written_.error();
    }
    const char* const why = ::archive_error_string(archive_);
    return {ErrorKind::internal, std::string("cannot write an archive: ") + (why ? why : "")};
  }

  archive* archive_;
  int file_;
  Sha256 hash_;
  Result<void> written_;
};

/// A file beside the artifact, as large, that never gets its name.
Result<OutputFile> scratch_beside(const Job& job) {
  return OutputFile::open(job.directory / job.file_name);
}

/// The layer as a file, and its digest.
Result<Digest> write_layer(const Job& job, int layer) {
  const OutputFile disk = TRY(scratch_beside(job));
  TRY(write_clusters(TRY(RawDisk::open(job.source.disk)), {}, job.progress, disk.descriptor()));
  Archive archive(layer);
  TRY(archive.open());
  TRY(archive.add_directory("disk/", kQemuUser));
  TRY(archive.add("disk/disk.qcow2", disk.descriptor(), kQemuUser));
  return archive.finish();
}

struct Blob {
  std::string text;
  Digest digest;
  explicit Blob(const Json& json) : text(json.dump()), digest(sha256(text)) {}
  Json descriptor(const char* type) const {
    return {{"mediaType", type}, {"digest", digest.text()}, {"size", text.size()}};
  }
};

std::string name_of(const Digest& digest) {
  return "blobs/sha256/" + digest.hex();
}

Result<void> write_containerdisk(const Job& job) {
  const OutputFile layer = TRY(scratch_beside(job));
  const Digest content = TRY(write_layer(job, layer.descriptor()));
  const Json rootfs = {{"type", "layers"}, {"diff_ids", Json::array({content.text()})}};
  const Blob config(Json{{"architecture", job.source.architecture},
                         {"os", "linux"},
                         {"config", Json::object()},
                         {"rootfs", rootfs}});
  const Json descriptor = {{"mediaType", "application/vnd.oci.image.layer.v1.tar"},
                           {"digest", content.text()},
                           {"size", ::lseek(layer.descriptor(), 0, SEEK_END)}};
  const char* const manifest_type = "application/vnd.oci.image.manifest.v1+json";
  const Blob manifest(
      Json{{"schemaVersion", 2},
           {"mediaType", manifest_type},
           {"config", config.descriptor("application/vnd.oci.image.config.v1+json")},
           {"layers", Json::array({descriptor})}});
  const Json index = {{"schemaVersion", 2},
                      {"manifests", Json::array({manifest.descriptor(manifest_type)})}};
  Archive archive(job.output);
  TRY(archive.open());
  TRY(archive.add("oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
  TRY(archive.add("index.json", index.dump()));
  TRY(archive.add(name_of(manifest.digest), manifest.text));
  TRY(archive.add(name_of(config.digest), config.text));
  TRY(archive.add(name_of(content), layer.descriptor(), 0));
  TRY(archive.finish());
  return {};
}
}  // namespace

Format containerdisk_format() {
  return {"containerdisk",
          "container image with the disk, for KubeVirt",
          ".containerdisk.tar",
          recipe::Hardware::virtio,
          {},
          write_containerdisk};
}

}  // namespace goldmill::exporter
