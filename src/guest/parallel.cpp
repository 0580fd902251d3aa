// SPDX-License-Identifier: GPL-3.0-or-later
#include "parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <mutex>

#include <sched.h>

#include <goldmill/system/side_by_side.hpp>

namespace goldmill::guest {

namespace {
class Pool {
 public:
  Pool(const std::vector<std::size_t>& order, const std::function<Result<void>(std::size_t)>& work)
      : order_(order), work_(work) {}

  void run() noexcept {
    while (!failed_) {
      const std::size_t position = next_++;
      if (position >= order_.size()) {
        return;
      }
      auto done = attempt(order_[position]);
      if (!done) {
        failed_ = true;
        const std::lock_guard guard(mutex_);
        errors_.emplace(order_[position], std::move(done).error());
      }
    }
  }
  Result<void> outcome() {
    if (errors_.empty()) {
      return {};
    }
    return errors_.begin()->second;
  }

 private:
  Result<void> attempt(std::size_t index) {
    try {
      return work_(index);
    } catch (const std::exception& failure) {  // no memory; nothing else throws here
      return Error{ErrorKind::no_space, failure.what()};
    }
  }

  const std::vector<std::size_t>& order_;
  const std::function<Result<void>(std::size_t)>& work_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::map<std::size_t, Error> errors_;
};
}  // namespace

Result<void> for_each_parallel(const std::vector<std::size_t>& order,
                               unsigned threads,
                               const std::function<Result<void>(std::size_t)>& work) {
  Pool pool(order, work);
  const std::size_t count =
      std::clamp<std::size_t>(threads, 1, std::max<std::size_t>(order.size(), 1));
  system::side_by_side(count, count, [&pool](std::size_t /*thread*/) { pool.run(); });
  return pool.outcome();
}

unsigned usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) {
    return 2;
  }
  return static_cast<unsigned>(std::clamp(CPU_COUNT(&set), 1, 64));
}

}  // namespace goldmill::guest
