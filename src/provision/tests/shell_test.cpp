// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <goldmill/provision/provision.hpp>

#include "stand_in_door.hpp"
#include "tree_sandbox.hpp"

namespace goldmill::provision {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class ShellTest : public testing::Test {
 protected:
  plan::Step step_of(recipe::ShellStep shell) {
    recipe_.provision = {{std::move(shell), {"r.yaml", 1, 1}}};
    auto steps = make_steps(recipe_);
    EXPECT_TRUE(steps) << steps.error().text();
    return steps->at(0);
  }
  Result<Json> run(const plan::Step& step) {
    plan::StepContext context{sandbox_, progress_, "/nonexistent", {}, &door_};
    return find_kind(step.kind)->run(step, context);
  }

  recipe::Recipe recipe_;
  plan::Progress progress_;
  TreeSandbox sandbox_{"/nonexistent"};
  StandInDoor door_;
};

TEST_F(ShellTest, RunsTheScriptWithoutNetworkByDefault) {
  const plan::Step step = step_of({.script = "# what\necho hi > /etc/motd\n"});
  EXPECT_EQ(step.name, "shell: echo hi > /etc/motd");
  EXPECT_EQ(step.kind, "provision.shell");
  ASSERT_TRUE(run(step));
  ASSERT_EQ(sandbox_.executions.size(), 1U);
  EXPECT_THAT(sandbox_.executions[0].argv, ElementsAre("/bin/sh", "-e", "/run/goldmill/script"));
  EXPECT_FALSE(sandbox_.executions[0].network);
  EXPECT_EQ(sandbox_.shown.at("/run/goldmill/script").content, "# what\necho hi > /etc/motd\n");
  EXPECT_FALSE(sandbox_.shown.at("/run/goldmill/script").writable);
}

TEST_F(ShellTest, ObeysTheFirstLine) {
  ASSERT_TRUE(run(step_of({.script = "#!/bin/bash -u\ntrue\n"})));
  EXPECT_THAT(sandbox_.executions[0].argv,
              ElementsAre("/bin/bash", "-u", "-e", "/run/goldmill/script"));
  ASSERT_TRUE(run(step_of({.script = "#!/usr/bin/env python3\npass\n"})));
  EXPECT_THAT(sandbox_.executions[1].argv,
              ElementsAre("/usr/bin/env", "python3", "/run/goldmill/script"));
}

TEST_F(ShellTest, NetworkOnlyWhenAsked) {
  const plan::Step step = step_of({.script = "true", .network = true});
  EXPECT_TRUE(step.network);
  ASSERT_TRUE(run(step));
  EXPECT_TRUE(sandbox_.executions[0].network);
}

TEST_F(ShellTest, PackagesComeThroughTheDoorUnlessItHasANetwork) {
  door_.came = {{{"name", "less"}}};
  const auto result = run(step_of({.script = "apt-get install less"}));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->at("discovered"), door_.came);
  EXPECT_THAT(sandbox_.executions[0].environment, ElementsAre("APT_CONFIG=/door"));
  const auto own = run(step_of({.script = "apt-get install less", .network = true}));
  ASSERT_TRUE(own);
  EXPECT_THAT(sandbox_.executions[1].environment, ElementsAre());
}

TEST_F(ShellTest, WhatInstallsNothingNeedsNoArchiveAndNoEntryInTheLock) {
  const auto result = run(step_of({.script = "true"}));
  ASSERT_TRUE(result);
  EXPECT_FALSE(result->contains("discovered"));
  door_.failure = "the archive is away";
  EXPECT_TRUE(run(step_of({.script = "true"})));
}

TEST_F(ShellTest, SecretsAreShownButInNoKey) {
  recipe_.secrets = {{.name = "token", .version = "3", .file = {}, .variable = "GM_TEST_TOKEN"}};
  ::setenv("GM_TEST_TOKEN", "s3cr3t-value", 1);
  const plan::Step step =
      step_of({.script = "cat /run/goldmill/secrets/token", .secrets = {"token"}});
  ASSERT_TRUE(run(step));
  const auto& shown = sandbox_.shown.at("/run/goldmill/secrets/token");
  EXPECT_EQ(shown.content, "s3cr3t-value");
  EXPECT_EQ(shown.mode, 0400U);
  EXPECT_FALSE(shown.writable);
  EXPECT_THAT(step.secrets, ElementsAre("token"));
  EXPECT_EQ(step.inputs.at("secret token"), "version 3");
  std::string everything = canonical(step.options);
  for (const auto& [name, value] : step.inputs) {
    everything += name + value;
  }
  EXPECT_THAT(everything, Not(HasSubstr("s3cr3t")));
  EXPECT_THAT(everything, Not(HasSubstr("GM_TEST_TOKEN"))) << "where it stands is in no key";

  ::unsetenv("GM_TEST_TOKEN");
  const auto missing = run(step);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_THAT(missing.error().message, HasSubstr("GM_TEST_TOKEN"));
}

TEST_F(ShellTest, SecretsMayStandInFiles) {
  auto scratch =
      system::TemporaryDirectory::make(std::filesystem::temp_directory_path(), "goldmill-test.");
  ASSERT_TRUE(scratch);
  const auto file = scratch->path() / "t";
  recipe_.secrets = {{.name = "token", .version = "1", .file = file, .variable = {}}};
  const plan::Step step = step_of({.script = "true", .secrets = {"token"}});
  EXPECT_EQ(run(step).error().kind, ErrorKind::not_found);
  ASSERT_TRUE(system::write_file(file, "from a file"));
  ASSERT_TRUE(run(step));
  EXPECT_EQ(sandbox_.shown.at("/run/goldmill/secrets/token").content, "from a file");
}

}  // namespace goldmill::provision
