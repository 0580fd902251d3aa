// SPDX-License-Identifier: GPL-3.0-or-later
#include "../expert_recipe.hpp"

#include <gmock/gmock.h>

namespace goldmill::preseed {
namespace {

using testing::HasSubstr;

TEST(ExpertRecipe, IsReadWithItsSizesAndSpecifiers) {
  const auto recipe = parse_expert_recipe(
      "boot-root ::  40 50 100 ext3  $primary{ } $bootable{ }  method{ format } format{ } "
      "use_filesystem{ } filesystem{ ext3 } mountpoint{ /boot } . "
      "500 10000 -1 $default_filesystem method{ format } label{my root} mountpoint{/} . "
      "64 512 300% linux-swap method{ swap } format{ } .");
  ASSERT_TRUE(recipe) << recipe.error().text();
  EXPECT_EQ(recipe->name, "boot-root");
  ASSERT_EQ(recipe->partitions.size(), 3U);
  const WantedPartition& boot = recipe->partitions[0];
  EXPECT_EQ(boot.least, 40U);
  EXPECT_EQ(boot.priority, 50U);
  EXPECT_EQ(boot.most, 100U);
  EXPECT_EQ(boot.filesystem, "ext3");
  EXPECT_TRUE(boot.specifiers.contains("$primary"));
  EXPECT_EQ(boot.specifier("mountpoint"), "/boot");
  EXPECT_FALSE(recipe->partitions[1].most);
  EXPECT_EQ(recipe->partitions[1].specifier("label"), "my root");
  EXPECT_EQ(recipe->partitions[1].specifier("mountpoint"), "/");
  EXPECT_TRUE(recipe->partitions[2].of_memory);
}

TEST(ExpertRecipe, TheNameMayHaveSpacesOrBeMissing) {
  EXPECT_EQ(parse_expert_recipe("My own scheme :: 1 2 3 ext4 format{ } .")->name, "My own scheme");
  EXPECT_EQ(parse_expert_recipe("root:: 1 2 3 ext4 format{ } .")->name, "root");
  EXPECT_EQ(parse_expert_recipe("1 2 3 ext4 format{ } .")->name, "");
}

TEST(ExpertRecipe, WhatIsWrongIsNamed) {
  const auto error = [](const char* text) {
    const auto recipe = parse_expert_recipe(text);
    return recipe ? "" : recipe.error().message;
  };
  EXPECT_THAT(error("r :: 1 2 ext4 ."), HasSubstr("a size is missing at 'ext4'"));
  EXPECT_THAT(error("r :: 1 2 3 method{ x } ."), HasSubstr("a file system is missing"));
  EXPECT_THAT(error("r :: 1 2 3 ext4 format{ }"), HasSubstr("does not end with '.'"));
  EXPECT_THAT(error("r :: 1 2 3 ext4 method{ format ."), HasSubstr("'method{' is not closed"));
  EXPECT_THAT(error("r :: 1 2 3 ext4 bare ."), HasSubstr("a specifier NAME{ VALUE } is missing"));
  EXPECT_THAT(error("r ::"), HasSubstr("has no partition"));
  EXPECT_THAT(error(""), HasSubstr("has no partition"));
}

}  // namespace
}  // namespace goldmill::preseed
