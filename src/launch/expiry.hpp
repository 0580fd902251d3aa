// SPDX-License-Identifier: GPL-3.0-or-later
// Expiry: a process of goldmill's that removes a fleet when its time is over, also when nobody
// looks at it. It sleeps until then, and ends when the fleet is removed before. Were it killed, the
// next command that looks removes the fleet.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <goldmill/base/result.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::launch {

/// `when`: seconds since 1970. Returns as soon as the process watches. Errors: not_found (there is
/// no such fleet).
Result<void> end_in_time(const std::filesystem::path& home,
                         const std::string& fleet,
                         std::int64_t when);

system::WorkerEntry expiry_worker();

}  // namespace goldmill::launch
