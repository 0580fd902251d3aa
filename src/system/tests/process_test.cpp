// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>
#include <signal.h>
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

}  // namespace goldmill::system
