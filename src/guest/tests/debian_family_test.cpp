// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include <goldmill/guest/debian_family.hpp>
#include <goldmill/recipe/load.hpp>

namespace goldmill::guest {
namespace {

recipe::Recipe bookworm() {
  recipe::Recipe recipe;
  recipe.name = "small";
  recipe.os = recipe::Os{"debian", "12"};
  return recipe;
}

/// The key of the step that installs these packages on an image.
Digest packages_key(const std::vector<PackageFile>& packages) {
  const recipe::Recipe merged = recipe::merged({bookworm()});
  const auto family = DebianFamily::open(*merged.os, {.home = "/nonexistent"});
  EXPECT_TRUE(family);
  PinnedPackages pinned;
  pinned.packages.packages = packages;
  const auto steps = family->steps({merged, merged, &merged}, {.pinned = pinned});
  EXPECT_TRUE(steps) << steps.error().text();
  const auto step = std::find_if(steps->before.begin(), steps->before.end(), [](const auto& each) {
    return each.kind == "debian.packages";
  });
  EXPECT_NE(step, steps->before.end());
  return plan::key_of(*step, {});
}

TEST(DebianFamily, APackageThatLiesElsewhereIsTheSame) {
  PackageFile package;
  package.name = "less";
  package.version = "590-2.1";
  package.sha256 = std::string(64, '0');
  package.pool_path = "pool/main/l/less/less.deb";
  package.source_index = 1;  // it came with a security fix
  const Digest before = packages_key({package});
  package.source_index = 0;  // and is in a point release
  package.pool_path = "pool/updates/main/l/less/less.deb";
  EXPECT_EQ(packages_key({package}), before);
  package.sha256 = std::string(64, '1');
  EXPECT_NE(packages_key({package}), before);
}

TEST(DebianFamily, ARepositoryWithAnotherKeyIsTheSameArchive) {
  recipe::Recipe recipe = bookworm();
  recipe.repositories = {{.uri = "https://mirror.example.org/vendor",
                          .suites = {"stable"},
                          .components = {"main"},
                          .key = "/srv/old.asc"}};
  const Json before = DebianFamily::archives({recipe, recipe});
  recipe.repositories.front().key = "/srv/new.asc";
  EXPECT_EQ(DebianFamily::archives({recipe, recipe}), before);
  recipe.repositories.front().suites = {"testing"};
  EXPECT_NE(DebianFamily::archives({recipe, recipe}), before);
}

}  // namespace
}  // namespace goldmill::guest
