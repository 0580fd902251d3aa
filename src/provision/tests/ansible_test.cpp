// SPDX-License-Identifier: GPL-3.0-or-later
#include <filesystem>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <goldmill/provision/provision.hpp>
#include <goldmill/system/file.hpp>

#include "../ansible_inputs.hpp"
#include "../tools_python.hpp"
#include "stand_in_door.hpp"
#include "tool_test.hpp"

namespace goldmill::provision {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

class AnsibleTest : public ToolTest<recipe::AnsibleStep> {
 protected:
  AnsibleTest() : ToolTest("db", {"usr/bin/python3", "usr/bin/python3.11"}) {
    write("site.yml", "- hosts: all\n  tasks: [{include_tasks: more.yml}]\n");
    ansible_.title = "site.yml";
    ansible_.playbook = at("site.yml");
    packages_ = &door_;
  }

  static std::string answer(int status, const std::string& outcome) {
    return answer_of(status,
                     "2.14.18",
                     "postgresql.service",
                     {{"resource", "Say when"},
                      {"file", "/run/goldmill/ansible/input/playbook/site.yml"},
                      {"line", 7},
                      {"status", outcome},
                      {"events", {{{"property", "command"}, {"message", "date"}}}}});
  }

  recipe::AnsibleStep& ansible_ = action_;
  StandInDoor door_;
};

TEST_F(AnsibleTest, KeyCoversEverythingThatAnsibleReadsAndNothingElse) {
  write("more.yml", "- debug: {msg: \"{{ lookup('file', 'deep/notes.txt') }}\"}\n");
  write("deep/notes.txt", "a\n");
  write("templates/x.j2", "x\n");
  write("group_vars/all.yml", "a: 1\n");
  write("elsewhere/web/tasks/main.yml", "[]\n");
  write("own/galaxy.yml", "namespace: acme\nname: own\n");
  ansible_.roles = {{.name = "elsewhere", .directory = at("elsewhere"), .position = {}}};
  ansible_.collections = {{.name = "./own", .directory = at("own"), .position = {}}};
  std::set<std::string> keys = {key().text()};
  for (const char* path : {"site.yml",
                           "more.yml",
                           "deep/notes.txt",
                           "templates/x.j2",
                           "group_vars/all.yml",
                           "elsewhere/web/tasks/main.yml",
                           "own/galaxy.yml"}) {
    const std::string before = system::read_file(at(path)).value();
    write(path, before + "# changed\n");
    EXPECT_TRUE(keys.insert(key().text()).second) << path;
    write(path, before);
  }
  ansible_.extra_vars = {{"port", 1}};
  EXPECT_TRUE(keys.insert(key().text()).second) << "variables";
  ansible_.groups = {"db"};
  EXPECT_TRUE(keys.insert(key().text()).second) << "groups";
  write("unrelated.yml", "a\n");
  EXPECT_FALSE(keys.insert(key().text()).second) << "a file that nobody names";
}

TEST_F(AnsibleTest, RolesAndCollectionsStandWhereAnsibleLooks) {
  write("web/tasks/main.yml", "[]\n");
  write("many/db/tasks/main.yml", "[]\n");
  write("own/galaxy.yml", "---\nnamespace: 'acme'\nname: \"own\"  # its name\n");
  ansible_.roles = {{.name = "web", .directory = at("web"), .position = {}},
                    {.name = "many/", .directory = at("many/"), .position = {}}};
  ansible_.collections = {{.name = "./own", .directory = at("own"), .position = {}}};
  const auto inputs = ansible_inputs(ansible_);
  ASSERT_TRUE(inputs) << inputs.error().text();
  std::vector<std::string> places;
  for (const ToolInput& input : *inputs) {
    places.push_back(input.to);
  }
  EXPECT_THAT(places,
              ElementsAre("playbook/site.yml",
                          "roles/web",
                          "role_sets/many",
                          "collections/ansible_collections/acme/own"));
  write("own/galaxy.yml", "name: own\n");
  EXPECT_THAT(ansible_inputs(ansible_).error().message, HasSubstr("./own is no collection"));
}

TEST_F(AnsibleTest, PackagedCollectionsNeedTheWholeAnsible) {
  EXPECT_THAT(step()->tools,
              UnorderedElementsAre(std::pair("ansible-core", "db.yaml:4:5"),
                                   std::pair("python3-apt", "db.yaml:4:5")));
  ansible_.collections = {
      {.name = "community.postgresql", .directory = {}, .position = {"db.yaml", 4, 40}}};
  EXPECT_THAT(step()->tools,
              UnorderedElementsAre(std::pair("ansible", "db.yaml:4:40"),
                                   std::pair("python3-apt", "db.yaml:4:5")));
}

TEST_F(AnsibleTest, RunsTheToolsPythonTwiceWithoutNetwork) {
  door_.came = {{{"name", "postgresql-15"}}};
  const auto result = run({answer(2, "changed"), answer(0, "unchanged")});
  ASSERT_TRUE(result) << result.error().text();
  ASSERT_EQ(sandbox_.executions.size(), 2U);
  EXPECT_THAT(sandbox_.executions[0].argv,
              ElementsAre("/run/goldmill/ansible/python", "/run/goldmill/ansible/apply.py"));
  EXPECT_FALSE(sandbox_.executions[0].network);
  const auto& python = sandbox_.shown.at("/run/goldmill/ansible/python");
  EXPECT_EQ(python.mode, 0555U);
  EXPECT_THAT(python.content, HasSubstr("/run/goldmill/tools/usr/lib64/ld-linux-x86-64.so.2"));
  EXPECT_THAT(python.content, HasSubstr("/run/goldmill/tools/usr/bin/python3.11 "));
  for (const auto& [target, shown] : sandbox_.shown) {
    EXPECT_TRUE(target.starts_with("/run/")) << "nothing else is never captured";
    EXPECT_FALSE(shown.writable) << target;
  }
  const Json report = result->at("ansible");
  EXPECT_EQ(report["resources"][0]["file"], "site.yml");
  EXPECT_EQ(report["resources"][0]["status"], "changed") << "the first run's is kept";
  EXPECT_THAT(find_strings(report, "services"), ElementsAre("postgresql.service"));
  EXPECT_EQ(result->at("discovered"), door_.came);
}

TEST_F(AnsibleTest, WhatIsNotIdempotentIsNamed) {
  const auto result = run({answer(2, "changed"), answer(2, "changed")});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::tool_failed);
  EXPECT_THAT(result.error().text(), HasSubstr("site.yml:7: Say when: date"));
  EXPECT_THAT(result.error().hint, HasSubstr("changed_when"));
}

TEST_F(AnsibleTest, AFailedTaskIsNamedWithItsPlace) {
  const auto result = run({answer(1, "failed")});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().text(), HasSubstr("Ansible failed:\n  site.yml:7: Say when: date"));
  EXPECT_THAT(result.error().text(), Not(HasSubstr("/run/goldmill")));
  const auto none = run({R"({"version": "2.14.18", "refused": ["no play is for this image"]})"});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::invalid_input);
  EXPECT_THAT(none.error().hint, HasSubstr("hosts: all"));
}

}  // namespace goldmill::provision
