// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <goldmill/provision/provision.hpp>

#include "stand_in_door.hpp"
#include "tree_sandbox.hpp"

namespace goldmill::provision {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using Kind = recipe::PackageRequest::Kind;

class PackagesTest : public testing::Test {
 protected:
  Result<plan::Step> step(std::vector<recipe::PackageRequest> packages) {
    recipe::Recipe recipe;
    recipe.provision = {{recipe::PackagesStep{std::move(packages)}, {"web.yaml", 4, 5}}};
    return TRY(make_steps(recipe)).at(0);
  }
  Result<Json> run(const plan::Step& step) {
    plan::StepContext context{sandbox_, progress_, "/nonexistent", {}, &door_};
    return find_kind(step.kind)->run(step, context);
  }

  plan::Progress progress_;
  TreeSandbox sandbox_{"/nonexistent"};
  StandInDoor door_;
};

TEST_F(PackagesTest, TheTreesAptInstallsAndRemovesThroughTheDoor) {
  door_.came = {{{"name", "htop"}, {"version", "3.2-1"}}};
  const auto made = step({{.name = "htop"},
                          {.name = "less", .version = "590-2"},
                          {.kind = Kind::remove, .name = "nano"}});
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_EQ(made->name, "packages: htop, less, -nano");
  EXPECT_EQ(made->asked_at, "web.yaml:4:5");
  const auto result = run(*made);
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_THAT(sandbox_.executions[0].argv,
              IsSupersetOf({"apt-get", "install", "htop", "less=590-2", "nano-"}));
  EXPECT_THAT(sandbox_.executions[0].environment, ElementsAre("APT_CONFIG=/door"));
  EXPECT_FALSE(sandbox_.executions[0].network);
  EXPECT_EQ(result->at("discovered"), door_.came);
}

TEST_F(PackagesTest, AFileIsPartOfTheKeyAndShownAsItIs) {
  const auto scratch = system::TemporaryDirectory::make("/tmp", "packages-test.");
  ASSERT_TRUE(scratch);
  const auto file = scratch->path() / "own.deb";
  ASSERT_TRUE(system::write_file(file, "first"));
  const auto first = step({{.kind = Kind::local, .file = file}});
  ASSERT_TRUE(first) << first.error().text();
  EXPECT_EQ(canonical(first->options).find(scratch->path()), std::string::npos)
      << "where it stands is in no key";
  ASSERT_TRUE(run(*first));
  EXPECT_EQ(sandbox_.executions[0].argv.back(), "/run/goldmill/local/own.deb");
  EXPECT_EQ(sandbox_.shown.at("/run/goldmill/local/own.deb").content, "first");
  ASSERT_TRUE(system::write_file(file, "second"));
  EXPECT_NE(plan::key_of(*first, {}),
            plan::key_of(*step({{.kind = Kind::local, .file = file}}), {}));
  EXPECT_EQ(run(*first).error().kind, ErrorKind::conflict) << "it changed since it was planned";
}

TEST_F(PackagesTest, NothingComesWithoutADoor) {
  const auto made = step({{.name = "htop"}});
  ASSERT_TRUE(made);
  plan::StepContext context{sandbox_, progress_, "/nonexistent"};
  EXPECT_EQ(find_kind(made->kind)->run(*made, context).error().kind, ErrorKind::unavailable);
}

}  // namespace goldmill::provision
