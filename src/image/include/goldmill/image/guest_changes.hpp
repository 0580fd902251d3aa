// SPDX-License-Identifier: GPL-3.0-or-later
// GuestChanges: what a guest did to the file systems of its disk, brought into the tree that the
// disk was made of.
#pragma once

#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/image/layout.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::image {

/// Afterwards the tree (a directory's descriptor) holds what the ext4 file systems of the disk
/// hold. Only what differs is written; times alone are no difference. What lies at the paths of
/// `left` ("etc/x"), or in such a directory ("tmp/"), is left alone. Errors: corrupt (the disk),
/// conflict (a file of a kind that a layer cannot hold).
Result<void> take_guest_changes(int disk,
                                const Layout& layout,
                                const std::vector<std::string>& left,
                                int tree);

/// The same as a worker, to be called in a sandbox. Hands: the tree, the disk. Request:
/// {"layout", "left"}. Nothing that a hostile disk does reaches more than the tree.
inline constexpr const char* kChangesWorker = "disk.changes";
Result<Json> changes_worker(system::WorkerContext& context);

}  // namespace goldmill::image
