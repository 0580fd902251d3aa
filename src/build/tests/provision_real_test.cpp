// SPDX-License-Identifier: GPL-3.0-or-later
// The steps of provision/ in a real sandbox: what a script sees, where copied files end up, and
// that no secret stays.
#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <goldmill/provision/provision.hpp>

#include "small_root.hpp"

namespace goldmill::build::test {
namespace {

namespace fs = std::filesystem;

class ProvisionReal : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = missing_for_sandboxes(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
  }

  Result<void> provision(const recipe::Recipe& recipe) {
    OverlaySandbox sandbox(place_.options());
    plan::Progress progress;
    plan::StepContext context{sandbox, progress, Home::get().path()};
    for (const plan::Step& step : TRY(provision::make_steps(recipe))) {
      TRY(provision::find_kind(step.kind)->run(step, context));
    }
    return {};
  }

  Place place_;
};

TEST_F(ProvisionReal, AScriptReadsItsSecretAndLeavesNoneBehind) {
  ::setenv("GM_REAL_SECRET", "real-s3cret", 1);
  recipe::Recipe recipe;
  recipe.secrets = {{.name = "token", .version = "1", .variable = "GM_REAL_SECRET"}};
  recipe.provision = {
      {recipe::ShellStep{.script = "#!/bin/sh\n"
                                   "test \"$(cat /run/goldmill/secrets/token)\" = real-s3cret\n"
                                   "stat -c %a /run/goldmill/secrets/token\n"
                                   "echo ran > /etc/marker\n",
                         .secrets = {"token"}}}};
  const auto result = provision(recipe);
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_THAT(place_.lines, testing::ElementsAre("400"));

  recipe.provision = {{recipe::ShellStep{
      .script = "cat /etc/marker\n"
                "if test -e /run/goldmill/secrets/token; then echo still there; fi\n"
                "if grep -rsq real-s3cret /etc /tmp /var; then echo found; fi\n"}}};
  place_.lines.clear();
  ASSERT_TRUE(provision(recipe));
  EXPECT_THAT(place_.lines, testing::ElementsAre("ran"));
}

TEST_F(ProvisionReal, AFailingLineFailsTheStep) {
  recipe::Recipe recipe;
  recipe.provision = {{recipe::ShellStep{.script = "false\necho not reached\n"}}};
  const auto result = provision(recipe);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::tool_failed);
  EXPECT_THAT(place_.lines, testing::IsEmpty());
}

TEST_F(ProvisionReal, CopiedFilesBelongToUsersOfTheImage) {
  const fs::path source = Home::get().path() / "private";
  fs::create_directories(source / "sub");
  fs::permissions(source, fs::perms::owner_all);  // guest ids cannot look into it
  std::ofstream(source / "sub/page") << "hello";
  recipe::Recipe recipe;
  recipe.provision = {
      {recipe::FilesStep{{{.source = source, .target = "/srv/site", .owner = "www-data"},
                          {.content = "x", .target = "/usr/local/bin/x", .mode = 04755}}}},
      {recipe::ShellStep{.script = "stat -c '%U %G %a %n' /srv/site/sub/page /usr/local/bin/x\n"
                                   "cat /srv/site/sub/page\n"}}};
  const auto result = provision(recipe);
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_THAT(
      place_.lines,
      testing::ElementsAre(
          "www-data root 644 /srv/site/sub/page", "root root 4755 /usr/local/bin/x", "hello"));
}

}  // namespace
}  // namespace goldmill::build::test
