// SPDX-License-Identifier: GPL-3.0-or-later
// Open directories, as a worker's hands.
#pragma once

#include <deque>
#include <filesystem>
#include <vector>

#include <fcntl.h>

#include <goldmill/system/file.hpp>

namespace goldmill::build {

struct OpenDirectories {
  std::deque<system::UniqueFd> owned;
  std::vector<int> hands;
  Result<void> add(const std::filesystem::path& path) {
    owned.push_back(TRY(system::open_file(path, O_PATH | O_DIRECTORY)));
    hands.push_back(owned.back().get());
    return {};
  }
};

}  // namespace goldmill::build
