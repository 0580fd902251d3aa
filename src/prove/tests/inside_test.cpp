// SPDX-License-Identifier: GPL-3.0-or-later
#include "../inside.hpp"

#include <filesystem>
#include <map>

#include <gtest/gtest.h>

#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

#include "../boot.hpp"

namespace goldmill::prove {

namespace {
/// A machine that answers by the first part of a command that it knows.
class FakeMachine {
 public:
  void answer(const std::string& part, const std::string& text, int status = 0) {
    answers_[part] = {status, text, ""};
  }
  Shell shell() {
    return [this](const std::string& command) -> Result<system::Output> {
      asked_.push_back(command);
      for (const auto& [part, output] : answers_) {
        if (command.find(part) != std::string::npos) {
          return output;
        }
      }
      return system::Output{};
    };
  }
  const std::vector<std::string>& asked() const { return asked_; }

 private:
  std::map<std::string, system::Output> answers_;
  std::vector<std::string> asked_;
};

const Row* find_row(const std::vector<Row>& rows, const std::string& promise) {
  for (const Row& row : rows) {
    if (row.promise == promise) {
      return &row;
    }
  }
  return nullptr;
}

/// Answers about a user's keys with the guest's own command, on files of a directory.
class KeyFiles {
 public:
  KeyFiles() {
    put("bin/sshd",
        "#!/bin/sh\necho port 22\necho AuthorizedKeysFile .ssh/authorized_keys " +
            path("given").string() + "/%u %h/.ssh/more\n");
    put("bin/getent", "#!/bin/sh\necho $2:x:1000:1000::" + path("home").string() + ":/bin/sh\n");
    put("given/root", "ssh-ed25519 AAAAtest goldmill\n");
    put("given/ops", "ssh-ed25519 AAAAtest goldmill\n");
  }

  void put(const std::string& name, const std::string& text) {
    ASSERT_TRUE(system::make_directories(path(name).parent_path(), 0700));
    ASSERT_TRUE(system::write_file(path(name), text, 0700));
  }

  Row ask(const std::vector<std::string>& keys, const std::vector<std::string>& more = {}) const {
    Expectations expected;
    expected.users = {{"ops", false, keys, false, more}};
    const Shell shell = [this](const std::string& command) { return run(command); };
    for (const Row& row : check_inside(shell, expected, "")) {
      if (row.promise == "user ops: SSH keys") {
        return row;
      }
    }
    return {"no such row", "", "", false};
  }

 private:
  std::filesystem::path path(const std::string& name) const { return room_.path() / name; }

  Result<system::Output> run(std::string command) const {
    const std::string given = "/etc/goldmill/authorized_keys";
    const std::size_t at = command.find(given);
    if (at == std::string::npos) {
      return system::Output{};
    }
    command.replace(at, given.size(), path("given").string());
    return system::process_runner().run(
        {.argv = {"env", "PATH=" + path("bin").string() + ":/usr/bin:/bin", "sh", "-c", command}});
  }

  system::TemporaryDirectory room_ =
      system::TemporaryDirectory::make(testing::TempDir(), "keys").value();
};

constexpr const char* kId = "5c0d7c2e6f6e4a0f8b7f0a4a9c1d2e3f";

FakeMachine good_machine() {
  FakeMachine machine;
  machine.answer("/etc/machine-id", std::string(kId) + "\n");
  machine.answer("/etc/localtime", "Europe/Berlin\n");
  machine.answer("/etc/locale.conf", "C.UTF-8\n");
  machine.answer("passwordauthentication", "no\n");
  machine.answer("shadow root", "!\n");
  machine.answer("getent passwd 'ops' |", "ops\n");
  machine.answer("runuser -u 'ops'", "yes\n");
  machine.answer("authorizedkeysfile", "ssh-ed25519 AAAAkey1 ops@home\n");
  machine.answer("nft list", "loaded\n");
  machine.answer("dumpe2fs", "10485760 264192 10219520 1277440 4096\n");
  machine.answer("is-active", "active\n");
  return machine;
}

Expectations expectations() {
  Expectations expected;
  expected.timezone = "Europe/Berlin";
  expected.locale = "C.UTF-8";
  expected.users = {{"ops", true, {"ssh-ed25519 AAAAkey1 another comment"}}};
  expected.services = {"ssh"};
  expected.commands = {"java -version"};
  return expected;
}
}  // namespace

TEST(CheckInside, AGoodMachinePasses) {
  FakeMachine machine = good_machine();
  const auto rows = check_inside(machine.shell(), expectations(), kId);
  EXPECT_EQ(rows.size(), 13U);
  for (const Row& row : rows) {
    EXPECT_TRUE(row.passed) << row.promise << ": " << row.found;
  }
}

TEST(CheckInside, EachBrokenPromiseIsItsOwnRow) {
  const struct {
    const char* part;
    const char* text;
    int status;
    const char* promise;
  } cases[] = {
      {"systemctl --failed", "nftables.service: Error\n", 0, "no failed unit"},
      {"/etc/machine-id", "\n", 0, "machine-id"},
      {"/etc/localtime", "Etc/UTC\n", 0, "time zone"},
      {"/etc/locale.conf", "en_US.UTF-8\n", 0, "locale"},
      {"passwordauthentication", "yes\n", 0, "SSH password login"},
      {"shadow root", "$\n", 0, "root is locked"},
      {"getent passwd 'ops' |", "", 2, "user ops"},
      {"runuser -u 'ops'", "no\n", 0, "user ops: sudo"},
      {"authorizedkeysfile", "ssh-ed25519 AAAAother\n", 0, "user ops: SSH keys"},
      {"nft list", "missing\n", 0, "firewall"},
      {"dumpe2fs", "10485760 264192 8122368 1015296 4096\n", 0, "a larger disk is used"},
      {"dumpe2fs", "10485760 264192 10219520 1015296 4096\n", 0, "a larger disk is used"},
      {"dumpe2fs", "10485760 264192\n", 0, "a larger disk is used"},
      {"is-active", "inactive\n", 3, "service ssh"},
      {"java -version", "not found\n", 127, "command java -version"},
  };
  for (const auto& one : cases) {
    FakeMachine machine = good_machine();
    machine.answer(one.part, one.text, one.status);
    for (const Row& row : check_inside(machine.shell(), expectations(), kId)) {
      EXPECT_EQ(row.passed, row.promise != one.promise) << one.promise << " / " << row.promise;
    }
  }
}

TEST(CheckInside, AUserWithoutKeysHasNone) {
  FakeMachine machine = good_machine();
  Expectations expected = expectations();
  expected.users[0].keys = {};
  auto rows = check_inside(machine.shell(), expected, kId);
  const Row* row = find_row(rows, "user ops: SSH keys");
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->expected, "0");
  EXPECT_EQ(row->found, "0, and 1 not in the recipe");
  EXPECT_FALSE(row->passed);
  machine.answer("authorizedkeysfile", "\n\n");
  rows = check_inside(machine.shell(), expected, kId);
  EXPECT_TRUE(find_row(rows, "user ops: SSH keys")->passed);
  machine.answer("authorizedkeysfile", "", 1);  // sshd says nothing
  rows = check_inside(machine.shell(), expected, kId);
  EXPECT_FALSE(find_row(rows, "user ops: SSH keys")->passed);
}

TEST(CheckInside, NoKeyButTheRecipesLetsIn) {
  const std::string own = "ssh-ed25519 AAAAkey1 ops@home\n";
  const std::string other = "ssh-ed25519 AAAAkey12 ops@home\n";
  const struct {
    std::string text;
    const char* found;
  } cases[] = {
      {own, "1"},
      {"# " + other + "\n  \t# " + other + "no key\n" + own + own, "1"},
      {"from=\"10.0.0.1, 10.0.0.2\",command=\"say \\\"a b\\\"\" " + own, "1"},
      {other, "0, and 1 not in the recipe"},
      {own + other + "ssh-rsa AAAAkey3", "1, and 2 not in the recipe"},
      {"command=\"" + own.substr(0, own.size() - 1) + "\" " + other, "0, and 1 not in the recipe"},
  };
  for (const auto& one : cases) {
    KeyFiles files;
    files.put("home/.ssh/authorized_keys", one.text);
    const Row row = files.ask({"ssh-ed25519 AAAAkey1 another comment"});
    EXPECT_EQ(row.expected, "1");
    EXPECT_EQ(row.found, one.found) << one.text;
    EXPECT_EQ(row.passed, row.found == "1") << one.text;
  }
}

TEST(CheckInside, AllFilesThatSshdReadsAreRead) {
  KeyFiles files;
  EXPECT_TRUE(files.ask({}).passed) << "no file but the test's own key: " << files.ask({}).found;
  files.put("home/.ssh/more", "ssh-ed25519 AAAAkey1");
  EXPECT_FALSE(files.ask({}).passed);
  EXPECT_TRUE(files.ask({"ssh-ed25519 AAAAkey1"}).passed);
  EXPECT_TRUE(files.ask({}, {"ssh-ed25519 AAAAkey1 of a document"}).passed);
  files.put("bin/sshd", "#!/bin/sh\necho bad configuration >&2\nexit 255\n");
  EXPECT_EQ(files.ask({}).found, "bad configuration");
  EXPECT_FALSE(files.ask({}).passed);
}

TEST(CheckInside, TheKeyOfTheTestIsLeftOutWhereTheAgentWroteIt) {
  const std::string test = "ssh-ed25519 AAAAtest goldmill\n";
  KeyFiles added;
  added.put("given/ops", test + "ssh-ed25519 AAAAother goldmill\n");
  EXPECT_EQ(added.ask({}).found, "0, and 1 not in the recipe");
  KeyFiles baked;
  baked.put("home/.ssh/authorized_keys", test);
  EXPECT_EQ(baked.ask({}).found, "0, and 1 not in the recipe") << "it is in the image";
  EXPECT_TRUE(baked.ask({test.substr(0, test.size() - 1)}).passed) << "as its recipe says";
}

TEST(CheckInside, AUserWithAPasswordIsNotAskedForIt) {
  FakeMachine machine = good_machine();
  machine.answer("runuser -u 'ops'", "no\n");
  machine.answer("sudo -l -U 'ops'", "yes\n");
  Expectations expected = expectations();
  expected.users[0].password = true;
  const auto rows = check_inside(machine.shell(), expected, kId);
  EXPECT_TRUE(find_row(rows, "user ops: sudo")->passed);
}

TEST(CheckInside, WhatTheGuestSaysIsBoundedAndSafe) {
  FakeMachine machine = good_machine();
  machine.answer("java -version", "\x1b[2J\x07" + std::string(1 << 20, 'x'), 1);
  const auto rows = check_inside(machine.shell(), expectations(), kId);
  const Row* row = find_row(rows, "command java -version");
  ASSERT_NE(row, nullptr);
  EXPECT_LT(row->found.size(), 400U);
  EXPECT_EQ(row->found.find('\x1b'), std::string::npos);
}

TEST(CheckInside, NamesOfARecipeCannotBecomeCommands) {
  FakeMachine machine;
  Expectations expected;
  expected.users = {{"a'; reboot; '", false, {}}};
  (void)check_inside(machine.shell(), expected, kId);
  for (const std::string& command : machine.asked()) {
    if (command.find("reboot") != std::string::npos) {
      EXPECT_NE(command.find("'a'\\''; reboot; '\\'''"), std::string::npos) << command;
    }
  }
}

TEST(Expectations, ComeFromTheRecipeAndItsDefaults) {
  recipe::Recipe recipe;
  EXPECT_EQ(expectations_of(recipe).tcp, std::set<std::uint16_t>{22});
  recipe.baseline.firewall_inbound = std::vector<std::string>{"ssh", "53/udp"};
  recipe.promises.ports = {"https", "8080/tcp"};
  const Expectations expected = expectations_of(recipe);
  EXPECT_EQ(expected.tcp, (std::set<std::uint16_t>{22, 443, 8080}));
  EXPECT_EQ(expected.udp, std::set<std::uint16_t>{53});
  EXPECT_EQ(to_json(expectations_of(to_json(expected))), to_json(expected));
  EXPECT_TRUE(expected.network);
  recipe.baseline.network = "none";
  EXPECT_FALSE(expectations_of(recipe).network);
  EXPECT_FALSE(port_of("telnet"));
  EXPECT_FALSE(port_of("70000/tcp"));
}

TEST(Expectations, KeysOfADocumentMayBeThere) {
  recipe::Recipe recipe;
  recipe.baseline.users =
      std::vector<recipe::User>{{.name = "ops", .ssh_keys = {"one"}}, {.name = "dev"}};
  recipe.provision.push_back({.action = recipe::ShellStep()});
  recipe.provision.push_back({.action = recipe::CloudConfigStep{
                                  .config = {{"users", {{{"name", "ops"}, {"keys", {"two"}}}}}}}});
  const Expectations expected = expectations_of(recipe);
  ASSERT_EQ(expected.users.size(), 2U);
  EXPECT_EQ(expected.users[0].keys, std::vector<std::string>{"one"});
  EXPECT_EQ(expected.users[0].more_keys, std::vector<std::string>{"two"});
  EXPECT_TRUE(expected.users[1].more_keys.empty());
  EXPECT_EQ(to_json(expectations_of(to_json(expected))), to_json(expected));
}

TEST(ReportJson, HasTheKeysThatScriptsRelyOn) {
  Report report;
  report.image = "java@3";
  report.passed = true;
  report.accelerator = "tcg";
  report.promises = {{"bios: time zone", "UTC", "UTC", true}};
  EXPECT_EQ(to_json(report).dump(),
            R"({"accelerator":"tcg","failures":[],"image":"java@3","passed":true,"promises":)"
            R"([{"expected":"UTC","found":"UTC","passed":true,"promise":"bios: time zone"}]})");
}

}  // namespace goldmill::prove
