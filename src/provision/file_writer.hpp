// SPDX-License-Identifier: GPL-3.0-or-later
// The worker of the `files` step: writes into the image's tree as the guest's root. Every path is
// resolved inside the tree, whatever links it holds.
#pragma once

#include <cstdint>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::provision {

inline constexpr std::string_view kFileWriter = "provision.files";

/// Hands: the tree, the contents of all files one after another. Request: {"epoch", "files":
/// [{"target", "mode", "owner", "group", "entries": FileTree::to_json()}]}. Owners are names of
/// the tree's own passwd and group, or numbers. Errors: not_found (no such user), conflict (a
/// directory is where a file shall go). Result: {"written"}.
Result<Json> write_files(system::WorkerContext& context);

/// The same on descriptors.
Result<Json> write_files(const Json& request, int tree, int contents);

}  // namespace goldmill::provision
