// SPDX-License-Identifier: GPL-3.0-or-later
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <goldmill/provision/provision.hpp>

#include "tree_sandbox.hpp"

namespace goldmill::provision {

TEST(RegistryTest, FindsEveryProvisionerByTheKindOfItsSteps) {
  EXPECT_THAT(
      names(),
      testing::ElementsAre("shell", "files", "puppet", "ansible", "cloud_config", "packages"));
  for (const std::string_view name : names()) {
    plan::StepKind* kind = find_kind("provision." + std::string(name));
    ASSERT_NE(kind, nullptr) << name;
    EXPECT_GE(kind->version(), 1);
  }
  EXPECT_EQ(find_kind("debian.packages"), nullptr);
  EXPECT_EQ(workers().size(), 1U);
}

TEST(RegistryTest, OthersPlanAndSayThatTheyAreNotThereYet) {
  recipe::Recipe recipe;
  recipe.provision = {{recipe::OtherStep{"puppet", {{"manifest", "web.pp"}}}, {"r.yaml", 3, 5}},
                      {recipe::OtherStep{"cloud_config", Json::object()}, {"r.yaml", 4, 5}}};
  const auto steps = make_steps(recipe);
  ASSERT_TRUE(steps) << steps.error().text();
  EXPECT_EQ(steps->at(0).name, "puppet");
  EXPECT_EQ(steps->at(0).options["manifest"], "web.pp");
  plan::Progress progress;
  TreeSandbox sandbox("/nonexistent");
  plan::StepContext context{sandbox, progress, "/nonexistent"};
  for (const plan::Step& step : *steps) {
    const auto result = find_kind(step.kind)->run(step, context);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::unavailable);
    EXPECT_THAT(result.error().message, testing::HasSubstr("steps are not there yet"));
    EXPECT_FALSE(result.error().hint.empty());
  }
}

TEST(RegistryTest, StepsOfTheSameNameDiffer) {
  recipe::Recipe recipe;
  for (int i = 0; i < 3; ++i) {
    recipe.provision.push_back({recipe::ShellStep{.script = "true"}, {"r.yaml", 1, 1}});
  }
  const auto steps = make_steps(recipe);
  ASSERT_TRUE(steps);
  std::set<std::string> seen;
  for (const plan::Step& step : *steps) {
    seen.insert(step.name);
  }
  EXPECT_EQ(seen.size(), 3U);
  EXPECT_EQ(steps->at(0).name, "shell: true");
}

}  // namespace goldmill::provision
