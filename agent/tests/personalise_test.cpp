// SPDX-License-Identifier: GPL-3.0-or-later
#include "personalise.hpp"

#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.hpp"
#include "judge.hpp"

namespace goldmill::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

const std::string kKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO a@b";

class PersonaliseTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = test_directory();
    run_judge("cd " + root_ +
              " && mkdir -p etc/ssh run/goldmill usr/lib/goldmill && echo image > "
              "etc/hostname && printf '127.0.0.1 localhost\\n127.0.1.1 image\\n' > etc/hosts");
  }
  std::string read(const std::string& path) {
    const auto text = read_file(root_ + path);
    return text ? text.value() : "missing";
  }
  Personaliser personaliser() {
    return {root_,
            [this](auto about, auto text) { warnings_ += std::string(about) + std::string(text); }};
  }
  std::string root_;
  std::string warnings_;
};

TEST_F(PersonaliseTest, PutsEverythingInItsPlace) {
  Identity identity;
  identity.hostname = "web.example.org";
  identity.instance_id = "i-1";
  identity.ssh_keys = {{"ops", kKey}, {"", kKey + "2"}, {"ops", kKey + "3"}};
  identity.user_data = "#cloud-config\n";
  identity.networks = {{"52:54:00:12:34:56", {"192.0.2.10/24"}, {"192.0.2.1"}, {}, {}}};
  personaliser().apply(identity);
  EXPECT_EQ(warnings_, "");
  EXPECT_EQ(read("/etc/hostname"), "web.example.org\n");
  EXPECT_EQ(read("/etc/hosts"), "127.0.0.1 localhost\n127.0.1.1 web.example.org web\n");
  EXPECT_EQ(read("/etc/goldmill/authorized_keys/ops"), kKey + "\n" + kKey + "3\n");
  EXPECT_EQ(read("/etc/goldmill/authorized_keys/root"), kKey + "2\n");
  EXPECT_EQ(read("/run/goldmill/user-data"), "#cloud-config\n");
  EXPECT_THAT(
      read("/run/systemd/network/05-goldmill-0.network"),
      HasSubstr("[Match]\nMACAddress=52:54:00:12:34:56\n\n[Network]\nAddress=192.0.2.10/24\n"
                "Gateway=192.0.2.1\nDHCP=no\n"));
  struct stat status {};
  ASSERT_EQ(stat((root_ + "/run/goldmill/user-data").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(PersonaliseTest, KeysStayUntilOthersComeInTheirPlace) {
  Identity identity;
  identity.ssh_keys = {{"ops", kKey}};
  personaliser().apply(identity);
  personaliser().apply({});  // a reboot without a host
  EXPECT_EQ(read("/etc/goldmill/authorized_keys/ops"), kKey + "\n");
  identity.ssh_keys = {{"root", kKey + "2"}};
  personaliser().apply(identity);
  EXPECT_EQ(read("/etc/goldmill/authorized_keys/root"), kKey + "2\n");
  struct stat status {};
  EXPECT_NE(stat((root_ + "/etc/goldmill/authorized_keys/ops").c_str(), &status), 0);
}

TEST_F(PersonaliseTest, MakesTheHostKeyWhenMissingOrEmpty) {
  const std::string key = "/etc/ssh/ssh_host_ed25519_key";
  personaliser().apply({});
  const std::string first = read(key);
  EXPECT_THAT(first, HasSubstr("BEGIN OPENSSH PRIVATE KEY"));
  struct stat status {};
  ASSERT_EQ(stat((root_ + key).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(run_judge("ssh-keygen -y -f " + root_ + key).second + "",
            read(key + ".pub").substr(0, 80) + "\n");

  personaliser().apply({});
  EXPECT_EQ(read(key), first) << "kept";
  std::ofstream(root_ + key).close();
  personaliser().apply({});
  EXPECT_THAT(read(key), HasSubstr("BEGIN OPENSSH PRIVATE KEY")) << "empty: made again";
  EXPECT_NE(read(key), first);
  EXPECT_EQ(personaliser().about().ssh_host_key + " goldmill\n", read(key + ".pub"));
}

TEST_F(PersonaliseTest, ACopyKeepsNothingThatIdentifies) {
  const std::string key = "/etc/ssh/ssh_host_ed25519_key";
  std::ofstream(root_ + key) << "another's";
  std::ofstream(root_ + "/etc/machine-id") << std::string(32, 'a') << "\n";
  std::ofstream(root_ + kShownBootId)
      << "0b1f2f5e-8a0c-4c3e-9a53-0d7f8d1f2a77, and more than that\n";
  struct stat before {};
  ASSERT_EQ(stat((root_ + kShownBootId).c_str(), &before), 0);
  Identity identity;
  identity.resumes = true;
  identity.hostname = "web-007";
  std::set<std::string> seen;
  for (int copy = 0; copy < 2; ++copy) {
    personaliser().apply(identity);
    EXPECT_EQ(warnings_, "");
    EXPECT_EQ(read("/etc/hostname"), "web-007\n");
    EXPECT_THAT(read("/etc/machine-id"), MatchesRegex("[0-9a-f]{32}\n"));
    EXPECT_THAT(
        read(kShownBootId),
        MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n"));
    EXPECT_THAT(read(key), HasSubstr("BEGIN OPENSSH PRIVATE KEY"));
    seen.insert({read("/etc/machine-id"), read(kShownBootId), read(key)});
  }
  EXPECT_EQ(seen.size(), 6U);
  struct stat after {};
  ASSERT_EQ(stat((root_ + kShownBootId).c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino) << "what is mounted over the sysctl is this file";
}

TEST_F(PersonaliseTest, ACopysFilesAreWrittenInPlaceSinceTheyAreMountedFromMemory) {
  const std::vector<std::string> held = {"/etc/machine-id",
                                         "/etc/hostname",
                                         "/etc/hosts",
                                         "/etc/ssh/ssh_host_ed25519_key",
                                         "/etc/ssh/ssh_host_ed25519_key.pub"};
  run_judge("cd " + root_ +
            " && mkdir -p etc/goldmill/authorized_keys && touch etc/machine-id && "
            "touch etc/ssh/ssh_host_ed25519_key etc/ssh/ssh_host_ed25519_key.pub && "
            "echo 0123 > run/goldmill/boot-id && echo a-name-that-is-longer > etc/hostname");
  const auto inodes = [&] {
    std::vector<ino_t> found;
    for (const std::string& path : held) {
      struct stat status {};
      EXPECT_EQ(stat((root_ + path).c_str(), &status), 0) << path;
      found.push_back(status.st_ino);
    }
    return found;
  };
  const std::vector<ino_t> before = inodes();
  Identity identity;
  identity.resumes = true;
  identity.hostname = "web-7";
  identity.ssh_keys = {{"ops", kKey}};
  identity.networks = {{"52:54:00:12:34:56", {"192.0.2.10/24"}, {}, {}, {}}};
  personaliser().apply(identity);
  EXPECT_EQ(warnings_, "");
  EXPECT_EQ(before, inodes());
  EXPECT_EQ(read("/etc/hostname"), "web-7\n");
  EXPECT_EQ(read("/etc/goldmill/authorized_keys/ops"), kKey + "\n");
  EXPECT_EQ(read("/run/systemd/network/05-goldmill-0.network"), "missing")
      << "nobody reads it until the network's keepers start";
}

TEST_F(PersonaliseTest, WithoutSshServerThereIsNoKey) {
  run_judge("rmdir " + root_ + "/etc/ssh");
  personaliser().apply({});
  EXPECT_EQ(warnings_, "");
  EXPECT_EQ(personaliser().about().ssh_host_key, "");
}

TEST_F(PersonaliseTest, AFailureIsToldAndStopsNothing) {
  run_judge("rm -r " + root_ + "/run/goldmill");
  Identity identity;
  identity.hostname = "web";
  identity.user_data = "x";
  personaliser().apply(identity);
  EXPECT_THAT(warnings_, HasSubstr("user-data"));
  EXPECT_EQ(read("/etc/hostname"), "web\n");
  EXPECT_THAT(read("/etc/ssh/ssh_host_ed25519_key"), HasSubstr("OPENSSH"));
}

TEST_F(PersonaliseTest, NothingOutsideIsReadThroughALink) {
  run_judge("ln -s /etc/passwd " + root_ + "/meta-data && mkdir " + root_ + "/d");
  const int directory = open((root_ + "").c_str(), O_RDONLY | O_DIRECTORY);
  EXPECT_FALSE(read_beneath(directory, "meta-data", 100));
  EXPECT_FALSE(read_beneath(directory, "../personalise", 100));
  close(directory);
}

TEST(Hosts, TheNameIsAddedOnce) {
  EXPECT_EQ(hosts_with_name("127.0.0.1 localhost\n", "a.b"),
            "127.0.0.1 localhost\n127.0.1.1 a.b a\n");
  EXPECT_EQ(hosts_with_name("127.0.1.1\tx\n127.0.1.1 y\n127.0.1.10 z\n", "a"),
            "127.0.1.1 a\n127.0.1.10 z\n");
}

}  // namespace
}  // namespace goldmill::agent
