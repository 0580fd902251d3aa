// SPDX-License-Identifier: GPL-3.0-or-later
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <goldmill/base/suggestion.hpp>

namespace goldmill {

TEST(Suggestion, FindsSlipsOnly) {
  EXPECT_EQ(nearest("pakages", {"packages", "promises"}), "packages");
  EXPECT_EQ(nearest("zzz", {"packages", "promises"}), "");
  EXPECT_EQ(did_you_mean("biuld", {"ls", "build"}), "did you mean 'build'?");
  EXPECT_EQ(did_you_mean("zzz", {"a", "b"}), "known: a, b");
}

TEST(Suggestion, OfManyNamesNamesAHundred) {
  std::vector<std::string> packages;
  packages.reserve(174);
  for (int number = 0; number < 174; ++number) {
    packages.push_back("package-" + std::to_string(number));
  }
  const std::string hint = did_you_mean("zzz", packages);
  EXPECT_EQ(hint.substr(0, 27), "known: package-0, package-1");
  EXPECT_EQ(hint.substr(hint.size() - 22), "package-99 and 74 more");
}

}  // namespace goldmill
