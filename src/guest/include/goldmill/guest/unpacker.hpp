// SPDX-License-Identifier: GPL-3.0-or-later
// Unpacker: packages -> files and a dpkg database that the tree's own dpkg takes over from.
#pragma once

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::guest {

/// The worker "unpack". hands[0]: the tree's root; hands[1]: a directory of `HEX.deb` files,
/// which guest ids must be able to read. Request:
///   {"phases": [...], "native": "amd64", "packages": [{"name", "version", "architecture",
///    "sha256", "size", "automatic"}], "contested": (the write phase's answer)}
/// Phases, done in the order given:
///   "inspect"  answers {"needs_dpkg": "why"} and ends when the packages do more than add paths
///   "create"   for an empty root: unpacks all but contested paths, then registers
///   "register" writes the database: "install ok unpacked"; control files; triggers
///   "write"    unpacks onto an existing tree; honours its diversions
///   "place"    for an empty root after the preinst scripts: contested and diverted paths
///   "accounts" adds "accounts" ({"passwd": [lines], "group", "shadow", "gshadow"})
///   "mark"     apt's note of what came in automatically; "manual" and "removed" leave it
///   "normalise" takes out what configuring dated; "epoch" in seconds since 1970
/// Answer: {"order": [{"name", "architecture", "file_name", "preinst"}], "contested": [...],
/// "first": [names to configure before all others], "needs_dpkg": null}.
/// Errors: corrupt, conflict, invalid_input, no_space.
Result<Json> unpack_worker(system::WorkerContext& context);

}  // namespace goldmill::guest
