// SPDX-License-Identifier: GPL-3.0-or-later
// The workers of this module; main() joins them with the others' for become_worker_if_asked().
#pragma once

#include <span>

#include <goldmill/system/worker.hpp>

namespace goldmill::build {

std::span<const system::WorkerEntry> workers();

}  // namespace goldmill::build
