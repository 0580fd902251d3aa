// SPDX-License-Identifier: GPL-3.0-or-later
// Memory: what this machine can still give.
#pragma once

#include <filesystem>

#include <goldmill/base/bytes.hpp>

namespace goldmill::system {

/// MemAvailable of /proc/meminfo, or what the memory limits of the control groups that this process
/// is in leave, whichever is less: a container may have less than its host. 0 where nothing tells.
/// `root` is where proc and sys are.
Bytes available_memory(const std::filesystem::path& root = "/");

}  // namespace goldmill::system
