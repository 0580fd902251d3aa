// SPDX-License-Identifier: GPL-3.0-or-later
// A clock that is ahead, as a shared object which programs of a sandbox load first.
#pragma once

#include <chrono>
#include <string_view>

namespace goldmill::build {

inline constexpr std::chrono::seconds kClockAhead{GOLDMILL_CLOCK_AHEAD};

/// Its bytes, for guests of this architecture ("amd64"); empty where there is none.
std::string_view later_clock(std::string_view architecture);

}  // namespace goldmill::build
