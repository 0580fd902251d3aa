// SPDX-License-Identifier: GPL-3.0-or-later
// Grow: makes the root partition and its file system fill a disk that has become larger.
#pragma once

#include <string>

#include <goldmill/base/result.hpp>

#include "gpt.hpp"

namespace goldmill::agent {

/// The disk and partition of the root file system.
struct RootDisk {
  std::string disk;       ///< "/dev/vda"
  std::string partition;  ///< "/dev/vda3"
  DiskGeometry geometry;
};

/// Finds it through /proc/self/mountinfo and sysfs. Errors: not_found when root is no partition.
Result<RootDisk> find_root_disk();

/// The device ("254:3") on which mountinfo has "/", or "".
std::string root_device(std::string_view mountinfo);

/// Never shrinks; does nothing when there is nothing to gain; may be repeated after a power cut
/// at any moment.
Result<void> grow_root_disk();

}  // namespace goldmill::agent
