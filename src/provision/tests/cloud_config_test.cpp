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
using testing::Not;

class CloudConfigTest : public testing::Test {
 protected:
  Result<Json> run(Json config) {
    recipe::Recipe recipe;
    recipe.provision = {
        {recipe::CloudConfigStep{"user-data", std::move(config)}, {"web.yaml", 4, 5}}};
    const plan::Step step = TRY(make_steps(recipe)).at(0);
    plan::StepContext context{sandbox_, progress_, "/nonexistent", {}, &door_};
    return find_kind(step.kind)->run(step, context);
  }
  std::string script(const std::string& name) {
    return sandbox_.shown["/run/goldmill/cloud/" + name].content;
  }

  plan::Progress progress_;
  TreeSandbox sandbox_{"/nonexistent"};
  StandInDoor door_;
};

TEST_F(CloudConfigTest, WorksInCloudInitsOrder) {
  door_.came = {{{"name", "nginx"}}};
  const Json files = {{{"path", "/etc/a b"}, {"content", "A"}, {"mode", "0640"}, {"owner", "root"}},
                      {{"path", "/srv/c"},
                       {"content", "Qw=="},
                       {"base64", true},
                       {"mode", "0644"},
                       {"owner", "www-data:www-data"},
                       {"defer", true}}};
  const auto result = run({{"files", files},
                           {"packages", {"nginx", "less=590-2"}},
                           {"users", {{{"name", "ops"}, {"sudo", {"ALL=(ALL) NOPASSWD:ALL"}}}}},
                           {"runcmd", "echo done\n"}});
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->at("discovered"), door_.came);
  ASSERT_EQ(sandbox_.executions.size(), 4U);
  EXPECT_EQ(sandbox_.executions[0].argv.back(), "/run/goldmill/cloud/before");
  EXPECT_THAT(sandbox_.executions[1].argv, IsSupersetOf({"apt-get", "nginx", "less=590-2"}));
  EXPECT_EQ(sandbox_.executions[2].argv.back(), "/run/goldmill/cloud/after");
  EXPECT_THAT(sandbox_.executions[3].argv,
              ElementsAre("/bin/sh", "-e", "/run/goldmill/cloud/runcmd"));
  EXPECT_THAT(script("before"), HasSubstr("file-0 '/etc/a b' 0640 'root' anew"));
  EXPECT_THAT(script("before"), HasSubstr("useradd --create-home ops"));
  EXPECT_THAT(script("before"), HasSubstr("passwd --lock ops")) << "unless it says otherwise";
  EXPECT_THAT(script("before"), Not(HasSubstr("/srv/c"))) << "it is deferred";
  EXPECT_THAT(script("after"), HasSubstr("base64 -d < /run/goldmill/cloud/file-1"));
  EXPECT_EQ(script("file-0"), "A");
  EXPECT_EQ(script("runcmd"), "echo done\n");
}

TEST_F(CloudConfigTest, AnArchiveThatIsAwayIsNamedWhenPackagesAreWanted) {
  door_.failure = "the archive is away";
  EXPECT_TRUE(run({{"runcmd", "echo done\n"}}));
  const auto result = run({{"runcmd", "echo done\n"}, {"timezone", "UTC"}, {"packages", {"less"}}});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().text(), HasSubstr("the archive is away"));
}

TEST_F(CloudConfigTest, DoesNothingThatIsNotSaid) {
  ASSERT_TRUE(run(Json::object()));
  EXPECT_THAT(sandbox_.executions, ElementsAre());
}

}  // namespace goldmill::provision
