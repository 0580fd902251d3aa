// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <goldmill/launch/launch.hpp>

namespace goldmill::launch {

namespace {

class Kubevirt : public testing::Test {
 protected:
  Kubevirt() {
    request_.engine = "kubevirt";
    request_.image = "java@3";
    request_.container_disk = "registry.example.org/java:3";
  }
  Result<Fleet> launched() const { return launch("/nonexistent", request_); }

  LaunchRequest request_;
};

std::string at(const Json& json, const std::string& path) {
  return json.at(Json::json_pointer(path)).dump();
}

/// In KubeVirt's own words: api/core/v1 and api/pool/v1alpha1 of its source.
TEST_F(Kubevirt, AFleetIsAPoolOfItsContainerDisk) {
  request_.count = 40;
  request_.memory = 1_GiB;
  request_.keys = {{"root", "ssh-ed25519 AAAA a"}, {"root", "ssh-ed25519 BBBB b"}};
  const Fleet fleet = launched().value();
  ASSERT_EQ(fleet.manifests.size(), 2U);
  const Json& secret = fleet.manifests[0];
  const Json& pool = fleet.manifests[1];
  const Json& spec = pool.at(Json::json_pointer("/spec/virtualMachineTemplate/spec/template/spec"));
  EXPECT_EQ(at(secret, "/stringData/key2"), R"("ssh-ed25519 BBBB b")");
  EXPECT_EQ(at(spec, "/accessCredentials/0/sshPublicKey/source/secret/secretName"),
            at(secret, "/metadata/name"));
  EXPECT_EQ(at(pool, "/spec/replicas"), "40");
  EXPECT_EQ(at(pool, "/spec/selector/matchLabels"),
            at(pool, "/spec/virtualMachineTemplate/metadata/labels"));
  EXPECT_EQ(at(spec, "/volumes/0/containerDisk/image"), R"("registry.example.org/java:3")");
  for (const std::string number : {"0", "1"}) {
    EXPECT_EQ(at(spec, "/volumes/" + number + "/name"),
              at(spec, "/domain/devices/disks/" + number + "/name"));
  }
  EXPECT_EQ(at(spec, "/domain/memory/guest"), R"("1024Mi")");
  EXPECT_EQ(at(spec, "/networks/0/name"), at(spec, "/domain/devices/interfaces/0/name"));
  EXPECT_EQ(to_json(fleet).at("manifests").size(), 2U);
}

TEST_F(Kubevirt, UserDataThatAManifestMayNotHoldIsASecret) {
  request_.user_data = std::string(1530, 'x');  // 2040 in base64
  ASSERT_EQ(launched()->manifests.size(), 1U);
  request_.user_data += "longer one";
  const Fleet fleet = launched().value();
  ASSERT_EQ(fleet.manifests.size(), 2U);
  const Json& spec =
      fleet.manifests[1].at(Json::json_pointer("/spec/virtualMachineTemplate/spec/template/spec"));
  EXPECT_EQ(at(spec, "/volumes/1/cloudInitNoCloud/secretRef/name"),
            at(fleet.manifests[0], "/metadata/name"));
  EXPECT_EQ(fleet.manifests[0].at("data").at("userdata").get<std::string>().size(), 2056U);
}

TEST_F(Kubevirt, WhatAClusterCannotDoIsRefused) {
  ASSERT_TRUE(launched());
  const LaunchRequest good = request_;
  const std::vector<void (*)(LaunchRequest&)> mistakes = {
      [](LaunchRequest& request) { request.container_disk = ""; },
      [](LaunchRequest& request) { request.container_disk = "x y"; },
      [](LaunchRequest& request) { request.container_disk = "-x"; },
      [](LaunchRequest& request) { request.parallel = 3; },
      [](LaunchRequest& request) { request.warm = true; },
      [](LaunchRequest& request) { request.lifetime = std::chrono::hours(1); },
      [](LaunchRequest& request) { request.disk_size = 9_GiB; },
      [](LaunchRequest& request) {
        request.network = {Network::Kind::bridge, "br0"};
      },
      [](LaunchRequest& request) { request.fleet = "Java_App"; }};
  for (const auto& mistake : mistakes) {
    request_ = good;
    mistake(request_);
    const auto fleet = launched();
    ASSERT_FALSE(fleet);
    EXPECT_EQ(fleet.error().kind, ErrorKind::invalid_input);
    EXPECT_NE(fleet.error().hint, "");
  }
}

}  // namespace
}  // namespace goldmill::launch
