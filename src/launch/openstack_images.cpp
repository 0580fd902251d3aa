// SPDX-License-Identifier: GPL-3.0-or-later
#include "openstack_images.hpp"

#include <array>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/base/digest.hpp>
#include <goldmill/machine/ssh.hpp>

namespace goldmill::launch {

namespace fs = std::filesystem;

namespace {
/// Properties of goldmill's images: which disk, whose upload, and which set of properties it got:
/// one of an older set is not used.
constexpr const char* kDiskProperty = "goldmill_disk";
constexpr const char* kSetProperty = "goldmill_properties";
constexpr const char* kSet = "2";
constexpr const char* kHomeProperty = "goldmill_home";
/// Less does not start a guest's kernel with its initramfs.
constexpr int kLeastMemory = 192;  // MiB

std::string key_of(const CloudImage& image) {
  return image.disk_digest + (image.uefi ? ":uefi" : "");
}

/// SHA-512 is what Glance computes over an image, in hexadecimal digits.
Result<std::string> sha512_of(int file) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                   EVP_MD_CTX_free);
  GOLDMILL_ASSERT(context && EVP_DigestInit_ex(context.get(), EVP_sha512(), nullptr) == 1);
  TRY(system::read_pieces(file, [&context](std::string_view piece) -> Result<void> {
    GOLDMILL_ASSERT(EVP_DigestUpdate(context.get(), piece.data(), piece.size()) == 1);
    return {};
  }));
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned length = 0;
  GOLDMILL_ASSERT(EVP_DigestFinal_ex(context.get(), bytes.data(), &length) == 1);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (unsigned i = 0; i < length; ++i) {
    hex += kDigits[bytes.at(i) >> 4U];
    hex += kDigits[bytes.at(i) & 15U];
  }
  return hex;
}
}  // namespace

/// Tells this home's uploads from those of others.
Result<std::string> CloudImages::home_mark() const {
  return sha256(TRY(machine::own_key(home_)).public_line).brief();
}

Result<CloudImages::Found> CloudImages::find(const std::string& key) const {
  const std::string ours = TRY(home_mark());
  const Json body =
      TRY(cloud_.get(CloudService::image,
                     "/images?" + std::string(kDiskProperty) + "=" + system::url_escaped(key) +
                         "&owner=" + cloud_.project() + "&sort=created_at:asc,id:asc&limit=100"));
  Found found;
  const Json* images = find_value(body, "images");
  for (const Json& entry : images == nullptr ? Json::array() : *images) {
    const auto id = find_string(entry, "id");
    const auto status = find_string(entry, "status");
    // Asked again here: a server that does not know the question answers with everything.
    const bool fits = id && is_cloud_id(*id) && find_string(entry, kDiskProperty) == key &&
                      find_string(entry, kSetProperty) == kSet &&
                      find_string(entry, "owner") == cloud_.project();
    if (fits && status == "active" && !found.whole) {
      found.whole = *id;
    } else if (fits && status != "active" && find_string(entry, kHomeProperty) == ours) {
      found.unfinished.push_back(*id);
    }
  }
  return found;
}

Result<void> CloudImages::remove(const std::string& id) const {
  const CloudAnswer answer = TRY(
      cloud_.send({.service = CloudService::image, .method = "DELETE", .path = "/images/" + id}));
  return answer.is_good() || answer.status == 404 ? Result<void>() : refusal(answer, "image " + id);
}

Result<std::string> CloudImages::bring(const CloudImage& image, const Tell& tell) const {
  const std::string key = key_of(image);
  const fs::path directory = home_ / "clouds";
  TRY(system::make_directories(directory, 0700));
  const auto turn = TRY(system::FileLock::acquire(directory / (cloud_.project() + ".lock"),
                                                  system::FileLock::Mode::exclusive));
  const Found before = TRY(find(key));
  for (const std::string& id : before.unfinished) {
    (void)remove(id);  // no launch of this home uploads now; whatever stays is never taken as whole
  }
  if (before.whole) {
    return *before.whole;
  }
  const std::string own = TRY(upload(image, key, tell).context("while bringing the image there"));
  const auto after = find(key);
  if (after && after->whole && *after->whole != own) {
    (void)remove(own);  // another home was quicker
    return *after->whole;
  }
  return own;
}

Result<std::string> CloudImages::reserve(const CloudImage& image, const std::string& key) const {
  constexpr std::uint64_t kGiB = 1ULL << 30U;
  Json wanted = {{"name", image.name},
                 {"disk_format", "qcow2"},
                 {"container_format", "bare"},
                 {"visibility", "private"},
                 {"min_disk", (image.size.value + kGiB - 1) / kGiB},
                 {"min_ram", kLeastMemory},
                 {kDiskProperty, key},
                 {kSetProperty, kSet},
                 {kHomeProperty, TRY(home_mark())},
                 {"hw_disk_bus", "virtio"},
                 {"hw_vif_model", "virtio"},
                 // The config drive is a CD-ROM: at a SATA port (machine type q35) the kernel that
                 // Debian makes for clouds has no driver for it.
                 {"hw_cdrom_bus", "scsi"},
                 {"hw_scsi_model", "virtio-scsi"},
                 {"hw_rng_model", "virtio"}};
  if (image.uefi) {
    wanted["hw_firmware_type"] = "uefi";
  }
  const CloudAnswer made = TRY(cloud_.send({.service = CloudService::image,
                                            .method = "POST",
                                            .path = "/images",
                                            .body = std::move(wanted)}));
  const auto id = find_string(made.body, "id");
  if (!made.is_good() || !id || !is_cloud_id(*id)) {
    return refusal(made, "Glance makes no image");
  }
  return *id;
}

Result<void> CloudImages::fill(const std::string& id, int file, Bytes size) const {
  const std::string digest = TRY(sha512_of(file));
  const CloudAnswer sent = TRY(cloud_.send({.service = CloudService::image,
                                            .method = "PUT",
                                            .path = "/images/" + id + "/file",
                                            .upload = system::HttpUpload{file, size}}));
  if (!sent.is_good()) {
    return refusal(sent, "Glance does not take the image's bytes");
  }
  const Json held = TRY(cloud_.get(CloudService::image, "/images/" + id));
  const bool same_size = find_integer(held, "size") == static_cast<std::int64_t>(size.value);
  const bool same_bytes =
      find_string(held, "os_hash_algo") != "sha512" || find_string(held, "os_hash_value") == digest;
  if (find_string(held, "status") != "active" || !same_size || !same_bytes) {
    return Error{ErrorKind::corrupt,
                 "Glance holds other bytes than it was given, or not all of them",
                 "launch again: it is uploaded anew"};
  }
  return {};
}

Result<std::string> CloudImages::upload(const CloudImage& image,
                                        const std::string& key,
                                        const Tell& tell) const {
  const auto file = TRY(image.file());
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) {
    return system_error("cannot look at the image's file", errno);
  }
  const Bytes size{static_cast<std::uint64_t>(about.st_size)};
  if (tell) {
    tell("sending " + image.name + ", " + to_text(size) + ", to cloud " + cloud_.name());
  }
  const std::string id = TRY(reserve(image, key));
  if (auto filled = fill(id, file.get(), size); !filled) {
    (void)remove(id);
    return std::move(filled).error();
  }
  return id;
}

}  // namespace goldmill::launch
