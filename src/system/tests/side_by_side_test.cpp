// SPDX-License-Identifier: GPL-3.0-or-later
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goldmill/system/side_by_side.hpp>

namespace goldmill::system {

TEST(SideBySide, DoesEachOnceAndNoMoreAtATimeThanAllowed) {
  std::vector<std::atomic<int>> done(100);
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  side_by_side(done.size(), 3, [&](std::size_t i) {
    const int running = ++now;
    int seen = most;
    while (seen < running && !most.compare_exchange_weak(seen, running)) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ++done[i];
    --now;
  });
  for (const auto& count : done) {
    EXPECT_EQ(count, 1);
  }
  EXPECT_LE(most, 3);
}

/// In a process of its own, as a user who may have no other: root is not held to the limit.
TEST(SideBySide, GoesOnWithoutThreadsThatCannotBeHad) {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit none{1, 1};
    if (::setrlimit(RLIMIT_NPROC, &none) != 0 || (::getuid() == 0 && ::setuid(65534) != 0)) {
      ::_exit(2);
    }
    std::atomic<int> done{0};
    side_by_side(50, 8, [&done](std::size_t /*index*/) { ++done; });
    ::_exit(done == 50 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "it was ended by a signal";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace goldmill::system
