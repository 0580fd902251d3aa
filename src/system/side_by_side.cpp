// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#include <goldmill/system/side_by_side.hpp>

namespace goldmill::system {

void side_by_side(std::size_t count,
                  std::size_t most,
                  const std::function<void(std::size_t index)>& work) {
  std::atomic<std::size_t> next{0};
  const auto take = [&] {
    for (std::size_t index = next++; index < count; index = next++) {
      work(index);
    }
  };
  std::vector<std::jthread> threads;
  threads.reserve(std::min(most, count));
  try {
    for (std::size_t i = 1; i < std::min(most, count); ++i) {
      threads.emplace_back(take);
    }
  } catch (const std::system_error&) {
    // The limit of processes is reached: those that are there do it all.
  }
  take();
}

}  // namespace goldmill::system
