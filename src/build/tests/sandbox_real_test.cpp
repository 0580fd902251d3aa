// SPDX-License-Identifier: GPL-3.0-or-later
// What a program in a sandbox sees, may do, and leaves behind. Needs guest ids and a small tree.
#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <goldmill/system/process.hpp>

#include "small_root.hpp"

namespace goldmill::build::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class SandboxReal : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = missing_for_sandboxes(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
  }
  Place place_;
};

TEST_F(SandboxReal, RunsAProgramAsRootOfTheTree) {
  const auto result = place_.shell("id -u; hostname; pwd; cat /etc/debian_version");
  ASSERT_TRUE(result) << result.error().text();
  ASSERT_EQ(place_.lines.size(), 4U);
  EXPECT_EQ(place_.lines[0], "0");
  EXPECT_EQ(place_.lines[1], "localhost");
  EXPECT_EQ(place_.lines[2], "/");
}

TEST_F(SandboxReal, StartsNotMuchLaterThanUnshareDoes) {
  OverlaySandbox sandbox(place_.options());
  const system::Command bare{
      .argv = {"unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "true"}};
  const auto ours = [&] { EXPECT_TRUE(sandbox.run({.argv = {"/bin/true"}})); };
  const auto theirs = [&] { EXPECT_TRUE(system::run_checked(system::process_runner(), bare)); };
  const auto time_of = [](const auto& once) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 20; ++i) {
      once();
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  ours();
  theirs();
  const double ratio = time_of(ours) / time_of(theirs);
  RecordProperty("times_unshare", std::to_string(ratio));
  EXPECT_LT(ratio, 20);
}

TEST_F(SandboxReal, AFailureCarriesStatusAndLastLines) {
  const auto result = place_.shell("echo first; echo broken >&2; exit 7");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::tool_failed);
  EXPECT_THAT(result.error().message, HasSubstr("status 7"));
  EXPECT_THAT(result.error().message, HasSubstr("broken"));
}

TEST_F(SandboxReal, CapturesStandardOutputOnly) {
  OverlaySandbox sandbox(place_.options());
  const auto output = sandbox.capture(
      {.argv = {"sh", "-c", "cat; printf 'a\\0b'; echo logged >&2"}, .input = "in "});
  ASSERT_TRUE(output) << output.error().text();
  EXPECT_EQ(*output, std::string("in a\0b", 6));
  EXPECT_THAT(place_.lines, ElementsAre("logged"));
}

TEST_F(SandboxReal, ChangesStayInTheWorkDirectory) {
  ASSERT_TRUE(place_.shell("echo changed > /etc/motd; echo x > /tmp/residue; touch /run/residue"));
  OverlaySandbox sandbox(place_.options());
  const auto text = sandbox.read("/etc/motd");
  ASSERT_TRUE(text) << text.error().text();
  EXPECT_EQ(*text, "changed\n");
  EXPECT_FALSE(sandbox.read("/tmp/residue"));
  EXPECT_FALSE(sandbox.read("/run/residue"));
  EXPECT_EQ(sandbox.read("/no/such").error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace goldmill::build::test
