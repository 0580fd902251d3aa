// SPDX-License-Identifier: GPL-3.0-or-later
// Which files of a tree belong to which package, by dpkg's own lists.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/plan/sandbox.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::guest {

inline constexpr const char* kFileOwnersWorker = "guest.file_owners";

/// By path without links ("/usr/bin/dpkg", also when the list says /bin); directories have many.
using FileOwners = std::map<std::string, std::vector<std::string>>;

/// Diversions are followed, and a package's own files in dpkg's database are its too.
Result<FileOwners> file_owners(plan::Sandbox& tree);

/// Called on a merged view. Events: {"package", "paths"}.
Result<Json> file_owners_worker(system::WorkerContext& context);

}  // namespace goldmill::guest
