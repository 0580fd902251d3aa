// SPDX-License-Identifier: GPL-3.0-or-later
// disk: assembles a whole raw disk from layers and boot assets; the worker "disk" does it as the
// guest's root, so that files that only the guest's root may read are read.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/image/identity.hpp>
#include <goldmill/image/layout.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::image {

/// The request of worker "disk".
struct DiskRequest {
  Layout layout;
  Digest seed;             ///< Identity::of(), for the partition table
  Digest lineage;          ///< Identity::of_lineage(), for the file systems
  std::int64_t epoch = 1;  ///< seconds since 1970
  std::size_t layers = 0;
  Json to_json() const;
  static Result<DiskRequest> from_json(const Json& json);
};

/// Files that the directory of boot assets may hold; more are ignored.
inline constexpr const char* kBootImage = "boot.img";           ///< GRUB's, for the MBR
inline constexpr const char* kCoreImage = "core.img";           ///< for the BIOS boot partition
inline constexpr const char* kShim = "shim.efi";                ///< signed, with ...
inline constexpr const char* kSignedGrub = "grub.efi";          ///< ... the GRUB that it starts and
inline constexpr const char* kMokManager = "mokmanager.efi";    ///< ... its key manager
inline constexpr const char* kPlainGrub = "grub-unsigned.efi";  ///< where nothing is signed

/// hands[0]: the raw disk, read-write, emptied first; hands[1]: the assets; hands[2] and so on: the
/// layers' trees, bottom to top.
/// Answer: {"used_bytes", "free_bytes", "files", "partitions": [{"name", "filesystem", "mount",
/// "offset", "size", "used_bytes"}]}. Errors: no_space with the size that is needed.
Result<Json> disk_worker(system::WorkerContext& context);

/// What each file takes on the disk, without writing one: hands and request as the worker "disk",
/// but for hands[1], which is not there: hands[1] is the assets. Events: {"files": [[path, bytes]]}
/// with whole paths, directories too. Answer: {"used_bytes", "table_bytes" (journals, inode tables:
/// what df does not count), "boot_bytes" (what firmware starts)}.
Result<Json> measure_worker(system::WorkerContext& context);

struct DiskHands {
  int disk = -1;
  int assets = -1;
  std::vector<int> layers = {};  ///< bottom to top
};
/// What the worker does, in this process.
Result<Json> write_disk(const DiskRequest& request,
                        const DiskHands& hands,
                        const std::function<void(std::string_view phase)>& on_phase = {});

/// SHA-256 over the SHA-256s of the file's 1 MiB chunks (the last may be shorter); a hole costs
/// nothing and counts as zeros. Uses all cores.
Result<Digest> disk_digest(int disk);

}  // namespace goldmill::image
