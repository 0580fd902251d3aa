// SPDX-License-Identifier: GPL-3.0-or-later
// Memory: what this machine can still give.
#pragma once

#include <goldmill/base/bytes.hpp>

namespace goldmill::system {

/// MemAvailable of /proc/meminfo; 0 where there is none.
Bytes available_memory();

}  // namespace goldmill::system
