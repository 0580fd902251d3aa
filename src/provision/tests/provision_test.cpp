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
