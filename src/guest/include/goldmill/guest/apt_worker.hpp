// SPDX-License-Identifier: GPL-3.0-or-later
// The worker in which libapt runs: its state is global, so each use has a process of its own.
#pragma once

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::guest {

/// Entry "apt" of the program's worker table. Adapter of libapt-pkg.
Result<Json> apt_worker(system::WorkerContext& context);

}  // namespace goldmill::guest
