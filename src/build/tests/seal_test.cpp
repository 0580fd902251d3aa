// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <goldmill/build/seal.hpp>

#include "../secret_scan.hpp"

namespace goldmill::build {
namespace {

std::string rule_name(std::string_view path, bool is_link = false) {
  const SealRule* rule = rule_for(path, is_link);
  return rule == nullptr ? "" : std::string(rule->name);
}

TEST(Seal, NamesIdentityAndResidue) {
  const std::vector<std::pair<const char*, const char*>> expected = {
      {"etc/machine-id", "machine-id"},
      {"etc/ssh/ssh_host_ed25519_key", "ssh-host-keys"},
      {"etc/ssh/ssh_host_rsa_key.pub", "ssh-host-keys"},
      {"var/lib/systemd/random-seed", "random-seed"},
      {"var/lib/systemd/credential.secret", "credential-secret"},
      {"var/lib/dhcp/dhclient.eth0.leases", "dhcp-leases"},
      {"var/log/apt/history.log", "logs"},
      {"var/log/journal/0123/system.journal", "logs"},
      {"var/log/nginx/access.log", "service-logs"},
      {"root/.bash_history", "histories"},
      {"home/anna/.bash_history", "histories"},
      {"var/cache/debconf/passwords.dat", "debconf-passwords"},
      {"var/cache/debconf/config.dat-old", "backups"},
      {"etc/shadow-", "backups"},
      {"var/lib/apt/lists/mirror.example.org_debian_dists_bookworm_InRelease", "caches"},
      {"var/cache/ldconfig/aux-cache", "caches"},
      {"etc/ssl/private/ssl-cert-snakeoil.key", "snakeoil"},
      {"tmp/x/y", "scratch"},
      {"var/lib/cloud/instance/boot-finished", "cloud-init"},
      {"root/anaconda-ks.cfg", "installer"},
      {"root/.ssh/authorized_keys", "ssh-access"},
      {"etc/NetworkManager/system-connections/office.nmconnection", "network-profiles"},
      {"etc/netplan/01-static.yaml", "network-profiles"},
      {"etc/apt/apt.conf.d/00-proxy", "archive-proxies"},
      {"etc/sudoers.d/vagrant", "sudo-rules"},
      {"etc/hostname", "host-name"},
  };
  for (const auto& [path, rule] : expected) {
    EXPECT_EQ(rule_name(path), rule) << path;
  }
}

TEST(Seal, LeavesWhatAnImageNeeds) {
  for (const char* path : {"etc/passwd",
                           "etc/ssh/sshd_config",
                           "etc/ssh/ssh_host_key/readme",
                           "var/log",
                           "tmp",
                           "var/lib/dpkg/status",
                           "var/lib/dpkg/info/apt.list",
                           "var/cache/debconf/config.dat",
                           "etc/machine-id.d/x",
                           "home/anna/notes",
                           "usr/share/doc/ssh/ssh_host_x_key",
                           "var/lib/apt/extended_states",
                           "var/lib/systemd/deb-systemd-helper-enabled/x"}) {
    EXPECT_EQ(rule_name(path), "") << path;
  }
}

TEST(Seal, LinksAreADecision) {
  EXPECT_EQ(rule_name("var/lib/dbus/machine-id", true), "");
  EXPECT_EQ(rule_name("etc/udev/rules.d/75-persistent-net-generator.rules", true), "");
  EXPECT_EQ(rule_name("tmp/link", true), "scratch");
}

TEST(Seal, PatternsMatchWithinOneName) {
  EXPECT_TRUE(matches("home/*/.x", "home/a/.x"));
  EXPECT_FALSE(matches("home/*/.x", "home/a/b/.x"));
  EXPECT_FALSE(matches("a/**", "a"));
  EXPECT_TRUE(matches("a/**", "a/b/c"));
  EXPECT_FALSE(matches("a/**", "ab/c"));
  EXPECT_TRUE(matches("*.log*", "x.log.1"));
  EXPECT_FALSE(matches("", "x"));
}

TEST(Seal, EveryRuleExplainsItself) {
  for (const SealRule& rule : seal_rules()) {
    EXPECT_FALSE(rule.name.empty());
    EXPECT_FALSE(rule.why.empty()) << rule.name;
    EXPECT_FALSE(rule.source.empty()) << rule.name;
    EXPECT_FALSE(rule.paths.empty()) << rule.name;
    for (const std::string_view path : rule.paths) {
      EXPECT_FALSE(path.starts_with('/')) << path;
    }
  }
}

TEST(SecretScan, FindsKeysAndNotTheirMention) {
  const std::string text(64, 'A');
  EXPECT_TRUE(has_private_key("-----BEGIN PRIVATE KEY-----\n" + text + "\n"));
  EXPECT_TRUE(has_private_key("x\n-----BEGIN OPENSSH PRIVATE KEY-----\r\n" + text + "\r\n"));
  EXPECT_TRUE(has_private_key("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"));
  EXPECT_FALSE(has_private_key("-----BEGIN CERTIFICATE-----\n" + text + "\n"));
  EXPECT_FALSE(has_private_key("if line == '-----BEGIN PRIVATE KEY-----':\n" + text));
  EXPECT_FALSE(has_private_key("-----BEGIN PRIVATE KEY-----\n...\n"));
  EXPECT_FALSE(has_private_key("-----BEGIN PRIVATE KEY-----"));
  EXPECT_FALSE(may_hold_secrets("usr/share/doc/openssl/key.pem"));
  EXPECT_TRUE(may_hold_secrets("srv/tests/key.pem"));
}

}  // namespace
}  // namespace goldmill::build
