// SPDX-License-Identifier: GPL-3.0-or-later
// Assembly: layers and boot assets -> the bytes of a disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/digest.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/build/work.hpp>
#include <goldmill/factory/session.hpp>
#include <goldmill/image/disk.hpp>
#include <goldmill/image/layout.hpp>

namespace goldmill::factory {

struct DiskParts {
  std::vector<Digest> layers;
  Digest assets;  ///< key of the boot loader's step
  image::Layout layout;
  std::int64_t epoch = 0;
};

/// What the disk of a recorded image is made of. Errors: invalid_input.
Result<DiskParts> parts_of(const store::ImageRecord& image);

/// Runs a worker of image/ on the parts; to its own hands come the assets and the layers' trees.
Result<Json> run_disk_worker(Session& session,
                             const DiskParts& parts,
                             const std::string& name,
                             std::vector<int> hands,
                             const std::function<void(const Json& event)>& on_event);

/// A raw disk in a work directory of its own, which goes with it.
struct AssembledDisk {
  build::WorkDirectory work;
  std::filesystem::path path;
  Bytes used;  ///< of the root file system
};

Result<AssembledDisk> assemble_disk(Session& session, const DiskParts& parts);

/// Layer trees by their diff_ids, bottom to top. Errors: corrupt, when one is gone.
Result<std::vector<std::filesystem::path>> layer_trees(const Session& session,
                                                       const std::vector<Digest>& layers);

/// Errors: corrupt when the digest of a disk is not the recorded one.
Result<void> check_digest(const Session& session, const Digest& found, const Digest& expected);

}  // namespace goldmill::factory
