// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

namespace goldmill::image {

/// Memory where there is some: these tests write much and keep nothing.
inline std::filesystem::path scratch_parent() {
  return std::filesystem::is_directory("/dev/shm") ? std::filesystem::path("/dev/shm")
                                                   : std::filesystem::temp_directory_path();
}

}  // namespace goldmill::image
