// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <goldmill/plan/difference.hpp>

namespace goldmill::plan {

TEST(Difference, IsSaidInWords) {
  const auto description = [](const Json& options) {
    return Json{
        {"kind", "k"}, {"kind_version", 1}, {"options", options}, {"inputs", Json::object()}};
  };
  EXPECT_EQ(first_difference(description({{"a", 1}}), description({{"a", 2}})), "a 1 -> 2");
  EXPECT_EQ(first_difference(description({{"a", 1}}), description({{"a", 1}, {"b", 2}})),
            "b added");
  EXPECT_EQ(first_difference(description({{"a", 1}}), description(Json::object())), "a removed");
  EXPECT_EQ(first_difference(description({{"a", 1}}), description({{"a", 1}})), "");
  const auto files = [&](const Json& list) { return description({{"files", list}}); };
  const Json zone = {{"path", "/etc/timezone"}, {"content", "sha256:00"}};
  const Json hosts = {{"path", "/etc/hosts"}, {"content", "sha256:01"}};
  Json other = hosts;
  other["content"] = "sha256:02";
  EXPECT_EQ(first_difference(files(Json::array({zone, hosts})), files(Json::array({zone, other}))),
            "/etc/hosts changed");
  EXPECT_EQ(first_difference(files(Json::array({zone})), files(Json::array({hosts, zone}))),
            "/etc/hosts added");
  EXPECT_EQ(first_difference(files(Json::array({zone, hosts})), files(Json::array({zone}))),
            "/etc/hosts removed");
}

TEST(Difference, OfWhatHasANameAndNoVersionTheFieldIsSaid) {
  const auto users = [](const Json& keys) {
    const Json user = {{"groups", Json::array()}, {"name", "ops"}, {"ssh_keys", keys}};
    return Json{{"kind", "k"},
                {"kind_version", 1},
                {"options", {{"users", Json::array({user})}}},
                {"inputs", Json::object()}};
  };
  EXPECT_EQ(first_difference(users(Json::array({"a"})), users(Json::array({"b"}))),
            "ops: ssh_keys changed");
}

TEST(Difference, PackagesThatSomebodyAskedForAreSaidBeforeWhatCameWithThem) {
  const auto description = [](const Json& packages, const Json& manual) {
    const Json options = {{"packages", packages}, {"manual", manual}};
    return Json{
        {"kind", "k"}, {"kind_version", 1}, {"options", options}, {"inputs", Json::object()}};
  };
  const auto package = [](const std::string& name) {
    return Json{{"architecture", "amd64"}, {"name", name}, {"version", "1"}};
  };
  const Json one = description(Json::array({package("java")}), Json::array({"java"}));
  const Json more =
      description(Json::array({package("java"), package("libncurses6"), package("sl")}),
                  Json::array({"java", "sl"}));
  EXPECT_EQ(first_difference(one, more), "sl:amd64 1 added");
  EXPECT_EQ(first_difference(more, one), "sl:amd64 removed");
}

TEST(Difference, PackagesAreSaidBeforeWhatFollowsFromThem) {
  const auto description = [](int epoch, const Json& packages) {
    const Json options = {{"epoch", epoch}, {"manual", packages.size()}, {"packages", packages}};
    return Json{
        {"kind", "k"}, {"kind_version", 1}, {"options", options}, {"inputs", Json::object()}};
  };
  const auto package = [](const std::string& name, const std::string& version) {
    return Json{{"name", name}, {"version", version}};
  };
  const Json old_ssl = Json::array({package("openssl", "3.0.15-1")});
  const Json new_ssl = Json::array({package("openssl", "3.0.16-1")});
  EXPECT_EQ(first_difference(description(1, old_ssl), description(2, new_ssl)),
            "openssl 3.0.15-1 -> 3.0.16-1");
  const Json both = Json::array({package("less", "590-1"), package("openssl", "3.0.15-1")});
  EXPECT_EQ(first_difference(description(1, old_ssl), description(1, both)), "less 590-1 added");
  EXPECT_EQ(first_difference(description(1, old_ssl), description(2, old_ssl)), "epoch 1 -> 2");
}

TEST(Difference, ANetworkThatIsAskedForIsOne) {
  Step step;
  const Json before = record_of(step, {});
  step.network = true;
  EXPECT_EQ(first_difference(before, record_of(step, {})), "network false -> true");
}

TEST(Difference, AnotherVersionOfTheKindSaysAllThatItsOptionsWould) {
  Step step;
  step.options = {{"source", 1}};
  const Json before = record_of(step, {});
  step.kind_version = 2;
  step.options = Json::object();
  EXPECT_EQ(first_difference(before, record_of(step, {})),
            "goldmill does this step in a newer way");
}

TEST(Difference, AFileThatOnlyHasAnotherNameIsNone) {
  const auto record = [](const std::string& name, const std::string& second) {
    Step step;
    step.inputs = {{"source of /a", sha256("a").text()}, {"source of /x", sha256(second).text()}};
    step.contents = {{"source of /a", {{name, sha256("a").text()}}},
                     {"source of /x", {{"/x", sha256(second).text()}}}};
    return record_of(step, {});
  };
  EXPECT_EQ(first_difference(record("one", "old"), record("two", "new")), "/x changed");
}

TEST(Difference, OneMorePackageIsNearerThanManyOthers) {
  const auto done = [](const std::vector<int>& packages, double seconds) {
    return DoneStep{{}, {}, {{"options", {{"packages", packages}}}}, {}, seconds};
  };
  const std::vector<DoneStep> steps = {done({11, 12, 13}, 3), done({2, 3, 4}, 2), done({2, 3}, 1)};
  EXPECT_EQ(nearest(steps, done({1, 2, 3, 4}, 0).record).seconds, 2);
  EXPECT_EQ(nearest(steps, done({}, 0).record).seconds, 1);
  EXPECT_EQ(nearest(steps, done({7, 8, 9}, 0).record).seconds, 1);
}

}  // namespace goldmill::plan
