// SPDX-License-Identifier: GPL-3.0-or-later
// Inside of check_reproducible(): a process of its own, since surroundings are a process's.
#pragma once

#include <goldmill/factory/check_reproducible.hpp>

namespace goldmill::factory {

inline constexpr const char* kRebuildWorker = "factory.rebuild";

/// Request: {"home", "scratch" (an empty directory), "recipe", "set", "image": digest}. Events are
/// an Observer's calls; the result is a report's JSON.
Result<Json> rebuild_worker(system::WorkerContext& context);

/// Calls `observer` as a worker's event says.
void pass_on(const Json& event, Observer& observer);

}  // namespace goldmill::factory
