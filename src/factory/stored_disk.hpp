// SPDX-License-Identifier: GPL-3.0-or-later
// StoredDisk: the qcow2 file that an image's instances stand on, as it lies in the store. A
// variant's holds what differs from its parent's, which it stands on (docs/decisions/0017).
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/digest.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/factory/session.hpp>

#include "assembly.hpp"

namespace goldmill::factory {

struct StoredDisk {
  Digest digest;    ///< of the raw disk
  Bytes used;       ///< of the root file system
  Bytes whole;      ///< what a qcow2 of the whole disk takes: an export's size
  Bytes stored;     ///< what this one takes
  Digest clusters;  ///< of the blob with the disk's ClusterMap
};

/// Notes it in the image's details.
void describe_disk(const StoredDisk& disk, Json& details);

/// Assembles an image's disk and puts it in its place, on its parent's disk when that is there.
/// Given the digest that it must have, another one is an error: corrupt.
Result<StoredDisk> store_disk(Session& session,
                              const DiskParts& parts,
                              const Digest& image,
                              const std::optional<store::ImageRecord>& parent,
                              const std::optional<Digest>& expected = {});

/// The files of an image's disk: its own, then those that it stands on. Errors: not_found when one
/// is gone, invalid_input when one is damaged.
Result<std::vector<std::filesystem::path>> disk_files(const store::Home& home, const Digest& image);

}  // namespace goldmill::factory
