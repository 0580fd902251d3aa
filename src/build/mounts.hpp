// SPDX-License-Identifier: GPL-3.0-or-later
// Mounts inside a worker's own mount namespace, by descriptors (Linux 5.12 or newer).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <goldmill/system/file.hpp>

namespace goldmill::build {

using MountOptions = std::vector<std::pair<std::string, std::string>>;

/// A new file system that is not attached anywhere yet; `attributes` are MOUNT_ATTR_*.
Result<system::UniqueFd> new_mount(const char* type,
                                   const MountOptions& options,
                                   unsigned attributes);

/// A second view of what `directory` + `path` shows, not attached yet. An empty path means the
/// descriptor itself.
Result<system::UniqueFd> clone_mount(int directory, const char* path, bool recursive);

/// Adds MOUNT_ATTR_* to a mount and everything below it.
Result<void> restrict_mount(int mount, unsigned attributes);

/// Attaches at the directory or file that `target` (O_PATH is enough) stands for.
Result<void> attach(int mount, int target, std::string_view what);

/// Opens below `root` as if it were "/": no link leads out. Errors: not_found.
Result<system::UniqueFd> open_inside(int root, const std::string& path, int flags);

/// What a worker's private copy of the machine's mounts is replaced with.
struct OverlayPlan {
  int work = -1;                 ///< directory with upper/ and overlay-work/; -1: read-only
  std::vector<int> layers = {};  ///< bottom to top
  std::vector<std::string> directories = {};  ///< must exist in the view, but in no layer
  std::vector<std::string> files = {};        ///< the same, as empty files
  bool with_policy = false;                   ///< /usr/sbin/policy-rc.d forbids to start services
};

/// Mounts the overlay on a tmpfs over /tmp and gives its directory.
Result<system::UniqueFd> mount_overlay(const OverlayPlan& plan);

}  // namespace goldmill::build
