// SPDX-License-Identifier: GPL-3.0-or-later
// DiskSource: an identity read from a disk labelled cidata or config-2.
#pragma once

#include <optional>

#include "identity.hpp"

namespace goldmill::agent {

/// Looks at every block device once. The disk is mounted read-only, nodev, nosuid, noexec while
/// it is read.
std::optional<Identity> read_disk_source();

}  // namespace goldmill::agent
