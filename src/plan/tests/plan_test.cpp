// SPDX-License-Identifier: GPL-3.0-or-later
#include <map>

#include <gtest/gtest.h>

#include <goldmill/plan/plan.hpp>

namespace goldmill::plan {

namespace {

class Memory : public History {
 public:
  std::map<Digest, DoneStep> done;
  std::vector<std::pair<std::string, DoneStep>> earlier_steps;  // newest first

  Result<std::optional<DoneStep>> find(const Digest& key) override {
    const auto found = done.find(key);
    return found == done.end() ? std::optional<DoneStep>() : found->second;
  }
  Result<std::vector<DoneStep>> earlier(const std::string& /*image*/,
                                        const std::string& step,
                                        int /*most*/) override {
    std::vector<DoneStep> found;
    for (const auto& [name, record] : earlier_steps) {
      if (name == step) {
        found.push_back(record);
      }
    }
    return found;
  }
  Result<std::vector<DoneStep>> earlier_at(const std::string& /*image*/,
                                           const Json& record,
                                           int /*most*/) override {
    std::vector<DoneStep> found;
    for (const auto& [name, step] : earlier_steps) {
      if (step.record.at("kind") == record.at("kind") &&
          step.record.at("parents") == record.at("parents")) {
        found.push_back(step);
      }
    }
    return found;
  }
  void remember(const Step& step,
                const std::vector<Digest>& parents,
                const Digest& layer,
                double seconds = 2.5) {
    const DoneStep record{key_of(step, parents), layer, record_of(step, parents), {}, seconds};
    done[record.key] = record;
    earlier_steps.emplace(earlier_steps.begin(), step.name, record);
  }
};

Step packages(const std::string& version) {
  Step step;
  step.name = "packages";
  step.kind = "debian.packages";
  step.options = {{"packages",
                   {{{"name", "openssl"}, {"version", version}, {"sha256", version + "-hash"}},
                    {{"name", "zlib1g"}, {"version", "1.2"}, {"sha256", "z"}}}}};
  return step;
}

Step script(const std::string& text) {
  Step step;
  step.name = "shell";
  step.kind = "shell";
  step.inputs = {{"setup.sh", sha256(text).text()}};
  return step;
}

}  // namespace

TEST(Plan, FirstBuildRunsEverything) {
  Memory memory;
  const Plan plan = make_plan("base", {packages("1"), script("a")}, {}, memory).value();
  EXPECT_EQ(plan.steps[0].reason, "new");
  EXPECT_EQ(plan.steps[1].reason, "packages runs before it");
  EXPECT_TRUE(plan.steps[0].key);
  EXPECT_FALSE(plan.steps[1].key);
  EXPECT_FALSE(plan.is_done());
}

TEST(Plan, DoneStepsAreNeverRunAgainAndReasonsNameTheInput) {
  Memory memory;
  memory.remember(packages("1"), {}, sha256("layer 1"));
  memory.remember(script("a"), {sha256("layer 1")}, sha256("layer 2"));
  EXPECT_TRUE(make_plan("base", {packages("1"), script("a")}, {}, memory)->is_done());

  const Plan edited = make_plan("base", {packages("1"), script("b")}, {}, memory).value();
  EXPECT_TRUE(edited.steps[0].done);
  EXPECT_FALSE(edited.steps[1].done);
  EXPECT_EQ(edited.steps[1].reason, "setup.sh changed");
  EXPECT_EQ(edited.steps[1].expected_seconds, 2.5);

  const Plan newer = make_plan("base", {packages("2"), script("a")}, {}, memory).value();
  EXPECT_EQ(newer.steps[0].reason, "openssl 1 -> 2");
  EXPECT_EQ(newer.steps[1].reason, "packages runs before it");
}

TEST(Plan, ANewParentIsNamed) {
  Memory memory;
  memory.remember(script("a"), {sha256("base 6"), sha256("packages")}, sha256("script"));
  const Parent six = {"base@6", {sha256("base 6"), sha256("packages")}};
  EXPECT_TRUE(make_plan("web", {script("a")}, six, memory)->is_done());
  const Parent seven = {"base@7", {sha256("base 7"), sha256("packages")}};
  EXPECT_EQ(make_plan("web", {script("a")}, seven, memory)->steps[0].reason, "base is now base@7");

  memory.remember(packages("2"), seven.layers, sha256("packages 2"));
  memory.remember(script("a"), {sha256("base 7"), sha256("packages")}, sha256("script"));
  const Plan plan = make_plan("web", {packages("2"), script("a")}, seven, memory).value();
  EXPECT_EQ(plan.steps[1].reason, "a step before it made another layer");
}

TEST(Plan, AStepWhoseNameIsItsTextIsComparedWithWhatStoodThere) {
  Memory memory;
  memory.remember(packages("1"), {}, sha256("layer 1"));
  Step before = script("a");
  before.name = "shell: a";
  memory.remember(before, {sha256("layer 1")}, sha256("layer 2"));
  Step now = script("b");
  now.name = "shell: b";
  const Plan plan = make_plan("base", {packages("1"), now}, {}, memory).value();
  EXPECT_EQ(plan.steps[1].reason, "setup.sh changed");
  EXPECT_EQ(plan.steps[1].expected_seconds, 2.5);
  Step elsewhere = now;
  elsewhere.kind = "files";
  EXPECT_EQ(make_plan("base", {packages("1"), elsewhere}, {}, memory)->steps[1].reason, "new");
}

TEST(Plan, ComparesWithTheNearestEarlierBuild) {
  Memory memory;
  memory.remember(packages("1"), {}, sha256("layer 1"));
  const auto with_colour = [](const std::string& text, const std::string& colour) {
    Step step = script(text);
    step.options = {{"colour", colour}, {"size", colour == "red" ? 1 : 2}};
    return step;
  };
  memory.remember(with_colour("a", "red"), {sha256("layer 1")}, sha256("red"), 7);
  memory.remember(with_colour("a", "blue"), {sha256("layer 1")}, sha256("blue"), 3);
  const auto reds = {packages("1"), with_colour("b", "red")};
  const Plan plan = make_plan("base", reds, {}, memory).value();
  EXPECT_EQ(plan.steps[1].reason, "setup.sh changed") << "not the colour of the newest";
  EXPECT_EQ(plan.steps[1].expected_seconds, 7);
}

TEST(Plan, NamesTheFileOfADirectoryThatChanged) {
  Memory memory;
  const auto module = [](const Json& files) {
    Step step = script(canonical(files));
    step.contents["setup.sh"] = files;
    return step;
  };
  const Json before = {{"site/init.pp", sha256("a").text()}, {"site/vhost.pp", sha256("v").text()}};
  Json changed = before;
  changed["site/vhost.pp"] = sha256("w").text();
  Json added = before;
  added["site/log.pp"] = sha256("l").text();
  memory.remember(module(before), {}, sha256("layer"));
  const auto reason = [&](const Step& step) {
    return make_plan("web", {step}, {}, memory)->steps[0].reason;
  };
  EXPECT_EQ(reason(module(changed)), "site/vhost.pp changed");
  EXPECT_EQ(reason(module(added)), "site/log.pp added");
  Step of_earlier = script("as an earlier goldmill recorded it");
  of_earlier.name = "other";
  memory.remember(of_earlier, {}, sha256("other layer"));
  Step now = module(added);
  now.name = "other";
  EXPECT_EQ(reason(now), "setup.sh changed");
  Step renamed = module(before);
  renamed.contents["setup.sh"] = {{"other/init.pp", sha256("a").text()}};
  EXPECT_TRUE(make_plan("web", {renamed}, {}, memory)->is_done()) << "names are in no key";
}

TEST(Plan, TellsTheMannerOfWhatRuns) {
  Memory memory;
  Step step = packages("1");
  step.manner = "by dpkg";
  const auto told = [&] {
    return make_plan("base", {step, script("a")}, {}, memory)->to_json().at("steps");
  };
  EXPECT_EQ(told()[0].at("manner"), "by dpkg");
  EXPECT_TRUE(told()[1].at("manner").is_null());
  memory.remember(packages("1"), {}, sha256("layer 1"));
  EXPECT_EQ(told()[0].at("result"), "cached") << "it is in no key";
  EXPECT_TRUE(told()[0].at("manner").is_null());
}

TEST(Plan, SameLayerAfterARerunEndsTheChain) {
  Memory memory;
  memory.remember(packages("2"), {}, sha256("layer 1"));  // another version, the same bytes
  memory.remember(script("a"), {sha256("layer 1")}, sha256("layer 2"));
  EXPECT_TRUE(make_plan("base", {packages("2"), script("a")}, {}, memory)->is_done());
}

TEST(Plan, KeyDependsOnEverythingThatMattersAndNothingElse) {
  const Step step = packages("1");
  const Digest key = key_of(step, {});
  Step other = step;
  other.name = "renamed";
  other.sources = {{"a", "/elsewhere"}};
  EXPECT_EQ(key_of(other, {}), key);
  other = step;
  other.kind_version = 2;
  EXPECT_NE(key_of(other, {}), key);
  other = step;
  other.inputs = {{"agent", "1"}};
  EXPECT_NE(key_of(other, {}), key);
  EXPECT_NE(key_of(packages("2"), {}), key);
  EXPECT_NE(key_of(step, {sha256("parent")}), key);
}

TEST(Plan, AssetsDoNotMakeLaterStepsRun) {
  Memory memory;
  memory.remember(script("a"), {}, sha256("layer"));
  Step assets = packages("1");
  assets.name = "bootloader";
  assets.produces = Produces::assets;
  const Plan plan = make_plan("base", {assets, script("a")}, {}, memory).value();
  EXPECT_FALSE(plan.steps[0].done);
  EXPECT_TRUE(plan.steps[1].done);
}

TEST(Plan, AssetsDependOnTheirInputsOnly) {
  Memory memory;
  Step assets = packages("1");
  assets.name = "bootloader";
  assets.produces = Produces::assets;
  memory.remember(assets, {}, Digest());
  const Plan plan = make_plan("base", {script("new"), assets}, {}, memory).value();
  EXPECT_FALSE(plan.steps[0].done);
  EXPECT_TRUE(plan.steps[1].done);
}

TEST(Plan, ToolsStandOnNothingAndNothingStandsOnThem) {
  Memory memory;
  Step tools = packages("1");
  tools.name = "tools";
  tools.produces = Produces::tools;
  memory.remember(tools, {}, sha256("tools"));
  memory.remember(script("a"), {}, sha256("layer"));
  const Plan plan = make_plan("base", {tools, script("a"), tools}, {}, memory).value();
  for (const PlannedStep& planned : plan.steps) {
    EXPECT_TRUE(planned.done) << planned.step.name;
  }
}

}  // namespace goldmill::plan
