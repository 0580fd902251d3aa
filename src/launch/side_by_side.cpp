// SPDX-License-Identifier: GPL-3.0-or-later
#include "side_by_side.hpp"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace goldmill::launch {

void side_by_side(std::size_t count,
                  std::size_t most,
                  const std::function<void(std::size_t index)>& work) {
  std::atomic<std::size_t> next{0};
  const auto take = [&] {
    for (std::size_t index = next++; index < count; index = next++) {
      work(index);
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < std::min(most, count); ++i) {
    threads.emplace_back(take);
  }
  take();
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace goldmill::launch
