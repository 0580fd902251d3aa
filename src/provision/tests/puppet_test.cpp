// SPDX-License-Identifier: GPL-3.0-or-later
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <goldmill/provision/provision.hpp>
#include <goldmill/system/file.hpp>

#include "../puppet_inputs.hpp"
#include "../tools_ruby.hpp"
#include "tool_test.hpp"

namespace goldmill::provision {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class PuppetTest : public ToolTest<recipe::PuppetStep> {
 protected:
  PuppetTest()
      : ToolTest("web", {"usr/lib/ruby/vendor_ruby/puppet.rb", "usr/lib/ruby/3.1.0/json.rb"}) {
    write("web.pp", "file { '/etc/x': }\n");
    puppet_.title = "web.pp";
    puppet_.manifest = at("web.pp");
  }

  static std::string answer(int status, const std::string& outcome) {
    const std::string manifest = "/run/goldmill/puppet/input/manifest/web.pp";
    return answer_of(status,
                     "7.23.0",
                     "apache2.service",
                     {{"resource", "Exec[date]"},
                      {"file", manifest},
                      {"line", 7},
                      {"status", outcome},
                      {"events", {{{"property", "returns"}, {"message", "ran at " + manifest}}}}});
  }

  recipe::PuppetStep& puppet_ = action_;
};

TEST_F(PuppetTest, KeyCoversEverythingThatPuppetReads) {
  write("site/manifests/init.pp", "class site {}\n");
  write("hiera.yaml", "version: 5\ndefaults: {datadir: values}\n");
  write("values/common.yaml", "a: 1\n");
  write("live/modules/m/manifests/init.pp", "class m {}\n");
  puppet_.modules = {{.name = "./site", .directory = at("site"), .position = {}}};
  puppet_.hiera = at("hiera.yaml");
  puppet_.environment = at("live");
  std::set<std::string> keys = {key().text()};
  for (const auto& [path, text] : {std::pair{"web.pp", "file { '/etc/y': }\n"},
                                   {"site/manifests/init.pp", "class site { }\n"},
                                   {"values/common.yaml", "a: 2\n"},
                                   {"live/modules/m/manifests/init.pp", "class m { }\n"}}) {
    write(path, text);
    EXPECT_TRUE(keys.insert(key().text()).second) << path;
  }
  puppet_.facts = {{"role", "web"}};
  EXPECT_TRUE(keys.insert(key().text()).second) << "facts";
}

TEST_F(PuppetTest, ToolsAreThePackagesWithTheirPlaceInTheRecipe) {
  puppet_.modules = {{.name = "apache", .directory = {}, .position = {"web.yaml", 4, 40}},
                     {.name = "puppet-archive", .directory = {}, .position = {"web.yaml", 4, 48}}};
  EXPECT_THAT(step()->tools,
              ElementsAre(std::pair("puppet-agent", "web.yaml:4:5"),
                          std::pair("puppet-module-puppet-archive", "web.yaml:4:48"),
                          std::pair("puppet-module-puppetlabs-apache", "web.yaml:4:40")));
}

TEST_F(PuppetTest, ModulesAreNamedByTheirMetadata) {
  write("checkout/metadata.json", R"({"name": "acme-site", "version": "1.0.0"})");
  puppet_.modules = {{.name = "./checkout", .directory = at("checkout"), .position = {}}};
  const auto inputs = puppet_inputs(puppet_);
  ASSERT_TRUE(inputs) << inputs.error().text();
  EXPECT_EQ(inputs->at(1).to, "modules/site");
  fs::create_directory(at("site"));
  puppet_.modules.push_back({.name = "./site", .directory = at("site"), .position = {}});
  EXPECT_THAT(puppet_inputs(puppet_).error().message, HasSubstr("are the module 'site'"));
}

TEST_F(PuppetTest, HieraDataMustStandBesideItsConfiguration) {
  puppet_.hiera = at("hiera.yaml");
  for (const char* place : {"/etc/puppet/data", "../data"}) {
    write("hiera.yaml", "defaults:\n  datadir: \"" + std::string(place) + "\"\n");
    const auto inputs = puppet_inputs(puppet_);
    ASSERT_FALSE(inputs);
    EXPECT_THAT(inputs.error().message, HasSubstr(place));
  }
  puppet_.hiera = at("tools");
  EXPECT_THAT(puppet_inputs(puppet_).error().message, HasSubstr("there is no hiera.yaml"));
}

TEST_F(PuppetTest, RunsTheToolsRubyTwiceWithoutNetwork) {
  const auto result = run({answer(2, "changed"), answer(0, "unchanged")});
  ASSERT_TRUE(result) << result.error().text();
  ASSERT_EQ(sandbox_.executions.size(), 2U);
  const plan::Execution& execution = sandbox_.executions[0];
  EXPECT_EQ(execution.argv.front(), "/run/goldmill/tools/usr/lib64/ld-linux-x86-64.so.2");
  EXPECT_EQ(execution.argv.back(), "/run/goldmill/puppet/apply.rb");
  EXPECT_FALSE(execution.network);
  EXPECT_EQ(sandbox_.shown.at("/run/goldmill/puppet/contents").content, "file { '/etc/x': }\n");
  for (const auto& [target, shown] : sandbox_.shown) {
    EXPECT_TRUE(target.starts_with("/run/")) << "nothing else is never captured";
    EXPECT_FALSE(shown.writable) << target;
  }
  const Json report = result->at("puppet");
  EXPECT_EQ(report["resources"][0]["file"], "web.pp");
  EXPECT_EQ(report["resources"][0]["status"], "changed") << "the first run's is kept";
  EXPECT_THAT(find_strings(report, "services"), ElementsAre("apache2.service"));
}

TEST_F(PuppetTest, WhatIsNotIdempotentIsNamed) {
  const auto result = run({answer(2, "changed"), answer(2, "changed")});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::tool_failed);
  EXPECT_THAT(result.error().text(), HasSubstr("web.pp:7: Exec[date]: ran at web.pp"));
  EXPECT_THAT(result.error().hint, HasSubstr("creates"));
}

TEST_F(PuppetTest, FailuresTellFileAndLine) {
  const auto result = run({answer(4, "failed")});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().text(), HasSubstr("web.pp:7: Exec[date]"));
  EXPECT_EQ(sandbox_.executions.size(), 1U);
}

TEST_F(PuppetTest, AFailureIsToldOnceAndWithItsPlace) {
  // As Puppet 7.23 tells of one file that cannot be made, and of the catalogue's own failure.
  const auto result = run({R"json({"status": 4, "version": "7.23.0", "resources": [], "messages": [
      {"level": "err", "message": "Could not set 'file': none (line: 2)"},
      {"level": "err", "message": "Could not set 'file': none (line: 2)\nWrapped exception:\nnone"},
      {"level": "err", "message": "change to 'file' failed: Could not set 'file': none (line: 2)",
       "file": "/run/goldmill/input/manifest/web.pp", "line": 2},
      {"level": "err", "message": "Failed to apply catalog"}]})json"});
  ASSERT_FALSE(result);
  const std::string text = result.error().text();
  EXPECT_THAT(text, HasSubstr("web.pp:2: change to 'file' failed: Could not set 'file'"));
  EXPECT_THAT(text, HasSubstr("\n  Failed to apply catalog"));
  EXPECT_THAT(text, Not(HasSubstr("\n  Could not set")));
}

TEST_F(PuppetTest, ModulesThatDoNotFitAreNamed) {
  const auto result =
      run({R"({"version": "7.23.0", "refused": ["module a-b 1 needs Puppet >= 8.0.0"]})"});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::invalid_input);
  EXPECT_THAT(result.error().message, HasSubstr("needs Puppet >= 8.0.0"));
}

TEST_F(PuppetTest, AnswersOfAnotherKindAreErrors) {
  for (const char* text : {"", "{}", "[1]", "{\"status\": \"x\"}"}) {
    EXPECT_FALSE(run({text})) << text;
  }
}

/// A booted tree that gives prepared answers.
class StandInGuest : public plan::BootedTree {
 public:
  explicit StandInGuest(std::vector<std::string> answers) : answers_(std::move(answers)) {}
  Result<std::string> capture(const plan::Execution& execution) override {
    executions.push_back(execution);
    return answers_.at(executions.size() - 1);
  }
  Result<void> close() override {
    is_closed = true;
    return {};
  }
  std::vector<plan::Execution> executions = {};
  bool is_closed = false;

 private:
  std::vector<std::string> answers_;
};

TEST_F(PuppetTest, BootedItRunsTwiceInTheGuestAndItsChangesAreTaken) {
  const std::string unbooted = key().text();
  puppet_.booted = true;
  EXPECT_NE(key().text(), unbooted);
  const plan::Step made = step().value();
  EXPECT_TRUE(made.boots);
  StandInGuest guest({answer(2, "changed"), answer(0, "unchanged")});
  plan::StepContext context{sandbox_, progress_, "/nonexistent", at("tools")};
  context.booted = &guest;
  const auto result = find_kind(made.kind)->run(made, context);
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(guest.executions.size(), 2U);
  EXPECT_TRUE(guest.is_closed);
  EXPECT_TRUE(sandbox_.executions.empty()) << "nothing is applied to the files";
  EXPECT_EQ(result->at("puppet")["resources"][0]["file"], "web.pp");
}

TEST_F(PuppetTest, BootedFailuresLeaveTheFilesAlone) {
  puppet_.booted = true;
  const plan::Step made = step().value();
  for (const auto& [second, words] : {std::pair{answer(2, "changed"), "changed something again"},
                                      {answer(4, "failed"), "web.pp:7: Exec[date]"}}) {
    StandInGuest guest({answer(2, "changed"), second});
    plan::StepContext context{sandbox_, progress_, "/nonexistent", at("tools")};
    context.booted = &guest;
    const auto result = find_kind(made.kind)->run(made, context);
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().text(), HasSubstr(words));
    EXPECT_FALSE(guest.is_closed);
  }
}

TEST_F(PuppetTest, BootedItSaysWherePackagesComeFrom) {
  puppet_.booted = true;
  const plan::Step made = step().value();
  StandInGuest guest({R"({"status": 4, "version": "7.23.0", "resources": [], "messages": [{"level":
      "err", "message": "Execution of '/usr/bin/apt-get install less' returned 100"}]})"});
  plan::StepContext context{sandbox_, progress_, "/nonexistent", at("tools")};
  context.booted = &guest;
  const auto result = find_kind(made.kind)->run(made, context);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().hint, HasSubstr("'packages:'"));
}

TEST_F(PuppetTest, AKeptAgentIsEnabledAndEachInstanceNamesItself) {
  fs::create_directories(at("tree/etc"));
  write("tree/etc/hostname", "base\n");
  puppet_.keep_agent = true;
  puppet_.server = "puppet.example.org";
  TreeSandbox sandbox(at("tree"));
  sandbox.answers = {answer(0, "unchanged"), answer(0, "unchanged")};
  plan::StepContext context{sandbox, progress_, "/nonexistent", at("tools")};
  const plan::Step made = step().value();
  const auto result = find_kind(made.kind)->run(made, context);
  ASSERT_TRUE(result) << result.error().text();
  const std::string script = system::read_file(at("tree/usr/lib/goldmill/puppet-identity")).value();
  EXPECT_THAT(script, HasSubstr("server = puppet.example.org"));
  EXPECT_THAT(script, HasSubstr("'base'|localhost"));
  EXPECT_THAT(sandbox.executions.back().argv, ElementsAre("systemctl", "enable", "puppet.service"));
}

TEST(ToolsRubyTest, SaysWhenTheTreeHasNone) {
  const auto ruby = ToolsRuby::find("/nonexistent", "/lib");
  ASSERT_FALSE(ruby);
  EXPECT_EQ(ruby.error().kind, ErrorKind::not_found);
}

}  // namespace goldmill::provision
