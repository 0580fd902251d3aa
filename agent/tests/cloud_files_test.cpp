// SPDX-License-Identifier: GPL-3.0-or-later
#include "cloud_files.hpp"

#include <gtest/gtest.h>

namespace goldmill::agent {
namespace {

const std::string kCloudKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO a@b";

TEST(CloudFiles, NoCloud) {
  Identity identity;
  read_meta_data("# comment\ninstance-id: \"i-1\"\nlocal-hostname: vm-1\npublic-keys:\n  - " +
                     kCloudKey + "\nnetwork-interfaces: |\n  hostname: evil\n",
                 identity);
  EXPECT_EQ(identity.hostname, "vm-1");
  EXPECT_EQ(identity.instance_id, "i-1");
  ASSERT_EQ(identity.ssh_keys.size(), 1U);
  EXPECT_EQ(identity.ssh_keys[0].line, kCloudKey);
}

TEST(CloudFiles, CloudConfigActsOnNamesAndKeysOnly) {
  Identity identity;
  read_cloud_config(
      "#cloud-config\nhostname: 'web'\nruncmd:\n- rm -rf /\nusers:\n  - name: x\n"
      "    ssh_authorized_keys:\n      - ssh-rsa NESTEDNESTEDNESTED\n"
      "ssh_authorized_keys:\n- " +
          kCloudKey + "\n- short\n",
      identity);
  EXPECT_EQ(identity.hostname, "web");
  ASSERT_EQ(identity.ssh_keys.size(), 1U);
  EXPECT_EQ(identity.ssh_keys[0].line, kCloudKey);
  Identity script;
  read_cloud_config("#!/bin/sh\nhostname: x\n", script);
  EXPECT_EQ(script.hostname, "");
}

TEST(CloudFiles, Openstack) {
  Identity identity;
  EXPECT_TRUE(read_openstack_meta_data(
      R"({"uuid": "83679162-1378-4288-a2d4-70e13ec132aa", "hostname": "test.novalocal", "n": 1.5,
          "devices": [], "meta": {"hostname": "evil"}, "random_seed": "x", "admin": null,
          "public_keys": {"mykey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO a@b\n"}})",
      identity));
  EXPECT_EQ(identity.hostname, "test.novalocal");
  EXPECT_EQ(identity.instance_id, "83679162-1378-4288-a2d4-70e13ec132aa");
  ASSERT_EQ(identity.ssh_keys.size(), 1U);
  EXPECT_EQ(identity.ssh_keys[0].line, kCloudKey);
}

TEST(CloudFiles, AKeyPairOfSeveralLines) {
  Identity identity;
  EXPECT_TRUE(read_openstack_meta_data(
      R"({"public_keys": {"two": "ssh-ed25519 AAAAC3NzaC1lZDI1 a\nssh-rsa )"
      R"(AAAAB3NzaC1yc2E b\n\n"}})",
      identity));
  ASSERT_EQ(identity.ssh_keys.size(), 2U);
  EXPECT_EQ(identity.ssh_keys[0].line, "ssh-ed25519 AAAAC3NzaC1lZDI1 a");
  EXPECT_EQ(identity.ssh_keys[1].line, "ssh-rsa AAAAB3NzaC1yc2E b");
}

TEST(CloudFiles, BrokenJsonEnds) {
  for (const std::string& bad : {std::string(100000, '['),
                                 std::string("{\"a\""),
                                 std::string("{\"a\": \"b"),
                                 std::string("[1,"),
                                 std::string("{\"a\":}"),
                                 std::string("\"\\")}) {
    Identity identity;
    EXPECT_FALSE(read_openstack_meta_data(bad, identity)) << bad.substr(0, 20);
  }
}

TEST(CloudFiles, Labels) {
  std::string iso(kLabelBytes, '\0');
  iso.replace(32769, 5, "CD001");
  iso.replace(32808, 32, "CIDATA                          ");
  EXPECT_EQ(file_system_label(iso), "cidata");
  std::string fat(kLabelBytes, '\0');
  fat.replace(510, 2, "\x55\xAA");
  fat.replace(82, 5, "FAT32");
  fat.replace(71, 11, "config-2   ");
  EXPECT_EQ(file_system_label(fat), "config-2");
  EXPECT_EQ(file_system_label(std::string(100, 'x')), "");
  EXPECT_EQ(file_system_label(""), "");
}

}  // namespace
}  // namespace goldmill::agent
