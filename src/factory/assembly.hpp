// SPDX-License-Identifier: GPL-3.0-or-later
// Assembly: layers and boot assets -> the bytes of a disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/digest.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/build/work.hpp>
#include <goldmill/factory/session.hpp>
#include <goldmill/image/layout.hpp>

namespace goldmill::factory {

struct DiskParts {
  std::vector<Digest> layers;
  Digest assets;  ///< key of the boot loader's step
  image::Layout layout;
  std::int64_t epoch = 0;
};

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

}  // namespace goldmill::factory
