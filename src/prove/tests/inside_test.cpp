// SPDX-License-Identifier: GPL-3.0-or-later
#include "../inside.hpp"

#include <map>

#include <gtest/gtest.h>

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
