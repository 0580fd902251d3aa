// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goldmill/system/process.hpp>

namespace goldmill::system {

TEST(Process, GivesInputAndCollectsBothOutputs) {
  const auto output = process_runner().run(
      Command{.argv = {"sh", "-c", "cat; echo problem >&2; exit 3"}, .input = "hello"});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->text, "hello");
  EXPECT_EQ(output->errors, "problem\n");
  EXPECT_EQ(output->status, 3);
}

TEST(Process, LargeInputToAProgramThatDoesNotReadIsNoDeadlock) {
  const auto output = process_runner().run(Command{
      .argv = {"sh", "-c", "head -c 1000000 /dev/zero"}, .input = std::string(1 << 20, 'x')});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->text.size(), 1000000U);
}

TEST(Process, MissingProgramIsNamed) {
  const auto output = process_runner().run(Command{.argv = {"no-such-program"}});
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().kind, ErrorKind::not_found);
  EXPECT_NE(output.error().message.find("no-such-program"), std::string::npos);
}

TEST(Process, LimitOfTimeEndsTheWholeGroup) {
  const auto output = process_runner().run(
      Command{.argv = {"sh", "-c", "sleep 60"}, .limit = std::chrono::milliseconds(50)});
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().kind, ErrorKind::cancelled);
}

TEST(Process, CheckedRunSaysTheLastLine) {
  const auto output =
      run_checked(process_runner(), Command{.argv = {"sh", "-c", "echo a; echo b >&2; exit 1"}});
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().text(), "sh failed with status 1: b");
}

TEST(Child, DiesWithItsOwner) {
  pid_t id = 0;
  {
    const auto child = Child::start(Command{.argv = {"sleep", "60"}});
    ASSERT_TRUE(child);
    id = child->id();
    EXPECT_EQ(::kill(id, 0), 0);
  }
  EXPECT_NE(::kill(id, 0), 0);
}

TEST(Child, DiesWithAKilledOwner) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const pid_t owner = ::fork();
  if (owner == 0) {
    const auto child = Child::start(Command{.argv = {"sleep", "60"}});
    const pid_t id = child ? child->id() : 0;
    (void)!::write(ends[1], &id, sizeof id);
    ::pause();
  }
  pid_t id = 0;
  ASSERT_EQ(::read(ends[0], &id, sizeof id), static_cast<ssize_t>(sizeof id));
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, id, 0)));
  ASSERT_TRUE(process) << "the child runs";
  ::kill(owner, SIGKILL);
  ::waitpid(owner, nullptr, 0);
  pollfd ended{process.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, 10'000), 1) << "the child outlives its owner";
}

}  // namespace goldmill::system
