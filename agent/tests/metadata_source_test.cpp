// SPDX-License-Identifier: GPL-3.0-or-later
#include "metadata_source.hpp"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_server.hpp"
#include "port.hpp"

namespace goldmill::agent {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

const std::string kInstanceKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO me@home";
const std::string kToken = "AQAEAMd6hN-kG2==";
const std::string kKeys = "GET /latest/meta-data/public-keys/";

std::string plain(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// A metadata service by "METHOD PATH"; 404 for every other page.
class MetadataTest : public testing::Test {
 protected:
  std::optional<Identity> ask(Cloud cloud) {
    FakeServer server([this](const std::string& request) -> std::vector<std::string> {
      const std::size_t end = request.find(' ', request.find(' ') + 1);
      const auto page = pages_.find(request.substr(0, end));
      return {page == pages_.end() ? "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
                                   : page->second};
    });
    const Fetch fetch = [&server](const HttpRequest& request, std::size_t most_body) {
      return ask_http(server.endpoint(), request, most_body, uptime_ms() + 60000);
    };
    auto identity = ask_cloud(cloud, fetch, [this](auto about, auto message) {
      log_ += std::string(about) + ": " + std::string(message) + "\n";
    });
    requests_ = server.requests();
    return identity;
  }

  void use_ec2() {
    pages_ = {{"PUT /latest/api/token", plain(kToken)},
              {"GET /latest/meta-data/instance-id", plain("i-0123456789abcdef0")},
              {"GET /latest/meta-data/local-hostname", plain("ip-10-0-0-7.ec2.internal")},
              {kKeys, plain("0=my key")},
              {kKeys + "0/openssh-key", plain(kInstanceKey + "\n")},
              {"GET /latest/user-data", plain("#!/bin/sh\nrm -rf /\n")}};
  }

  std::map<std::string, std::string> pages_;
  std::vector<std::string> requests_;
  std::string log_;
};

TEST_F(MetadataTest, Ec2GivesNameKeyAndUserData) {
  use_ec2();
  const auto identity = ask(Cloud::ec2);
  ASSERT_TRUE(identity) << log_;
  EXPECT_EQ(identity->source, "ec2");
  EXPECT_EQ(identity->hostname, "ip-10-0-0-7.ec2.internal");
  EXPECT_EQ(identity->instance_id, "i-0123456789abcdef0");
  ASSERT_THAT(identity->ssh_keys, SizeIs(1));
  EXPECT_EQ(identity->ssh_keys[0].line, kInstanceKey);
  EXPECT_EQ(identity->ssh_keys[0].user, "") << "the image's default user";
  EXPECT_EQ(identity->user_data, "#!/bin/sh\nrm -rf /\n") << "kept, never run";
  EXPECT_THAT(identity->networks, IsEmpty());
  EXPECT_EQ(log_, "");
}

TEST_F(MetadataTest, Ec2IsAskedWithItsTokenOnly) {
  use_ec2();
  ask(Cloud::ec2);
  ASSERT_THAT(requests_, SizeIs(6));
  EXPECT_THAT(requests_[0], StartsWith("PUT /latest/api/token HTTP/1.1\r\n"));
  EXPECT_THAT(requests_[0], HasSubstr("\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n"));
  requests_.erase(requests_.begin());
  EXPECT_THAT(requests_, Each(HasSubstr("\r\nX-aws-ec2-metadata-token: " + kToken + "\r\n")));
}

TEST_F(MetadataTest, WithoutATokenEc2IsNotAsked) {
  for (const std::string& answer : {std::string("HTTP/1.1 404 Not Found\r\n\r\n"),
                                    std::string("HTTP/1.1 403 Forbidden\r\n\r\n"),
                                    std::string("HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n"),
                                    std::string("HTTP/1.1 500 Oh\r\n\r\n"),
                                    std::string(),
                                    plain(""),
                                    plain("a b"),
                                    plain("token\r\nX-Forwarded-For: 1"),
                                    plain(std::string("a\0b", 3)),
                                    plain(std::string(2000, 'a'))}) {
    use_ec2();
    pages_["PUT /latest/api/token"] = answer;
    EXPECT_FALSE(ask(Cloud::ec2)) << answer.substr(0, 80);
    EXPECT_THAT(requests_, SizeIs(1)) << "IMDSv1 would answer: " << answer.substr(0, 80);
  }
}

TEST_F(MetadataTest, OfEc2TheInstanceAloneIsNeeded) {
  use_ec2();
  pages_.erase("GET /latest/user-data");
  pages_.erase(kKeys);
  pages_["GET /latest/meta-data/local-hostname"] = plain("vm-1.example.org vm-1.example.net");
  const auto identity = ask(Cloud::ec2);
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->hostname, "vm-1.example.org") << "the first of several";
  EXPECT_THAT(identity->ssh_keys, IsEmpty());
  EXPECT_FALSE(identity->user_data);
  EXPECT_EQ(log_, "") << "a page that is not there is no failure";
  for (const std::string& id : {plain(""), plain("<html>sign in</html>"), plain("a\nb")}) {
    pages_["GET /latest/meta-data/instance-id"] = id;
    EXPECT_FALSE(ask(Cloud::ec2)) << id;
  }
}

TEST_F(MetadataTest, WhatEc2SaysIsChecked) {
  use_ec2();
  pages_["GET /latest/meta-data/local-hostname"] = plain("$(reboot)");
  std::string list;
  for (int i = 0; i < 100; ++i) {
    list += std::to_string(i) + "=k\n";
    pages_[kKeys + std::to_string(i) + "/openssh-key"] = plain(kInstanceKey + "\x01\n" + "short\n");
  }
  pages_[kKeys] = plain(list);
  const auto identity = ask(Cloud::ec2);
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->hostname, "");
  EXPECT_THAT(identity->ssh_keys, IsEmpty());
  EXPECT_LT(requests_.size(), 16U) << "it does not decide how much is asked";
  pages_[kKeys] = plain("../../user-data=k\n");
  ask(Cloud::ec2);
  EXPECT_THAT(requests_, Each(Not(HasSubstr(".."))));
}

TEST_F(MetadataTest, TooMuchUserDataLosesTheUserDataOnly) {
  use_ec2();
  pages_["GET /latest/user-data"] = plain(std::string(kMostUserData + 1, 'a'));
  const auto identity = ask(Cloud::ec2);
  ASSERT_TRUE(identity);
  EXPECT_FALSE(identity->user_data);
  EXPECT_THAT(identity->ssh_keys, SizeIs(1));
  EXPECT_THAT(log_, HasSubstr("/latest/user-data"));
}

TEST_F(MetadataTest, OpenstackGivesNameKeyAndUserData) {
  const std::string config = "#cloud-config\nssh_authorized_keys:\n- " + kInstanceKey + "2\n";
  pages_ = {{"GET /openstack/latest/meta_data.json",
             plain(R"({"uuid": "83679162-1378-4288-a2d4-70e13ec132aa", "hostname": "vm.novalocal",
                       "public_keys": {"mykey": ")" +
                   kInstanceKey + "\\n\"}}")},
            {"GET /openstack/latest/user_data", plain(config)}};
  const auto identity = ask(Cloud::openstack);
  ASSERT_TRUE(identity) << log_;
  EXPECT_EQ(identity->source, "openstack");
  EXPECT_EQ(identity->hostname, "vm.novalocal");
  EXPECT_EQ(identity->instance_id, "83679162-1378-4288-a2d4-70e13ec132aa");
  ASSERT_THAT(identity->ssh_keys, SizeIs(2));
  EXPECT_EQ(identity->ssh_keys[1].line, kInstanceKey + "2");
  EXPECT_EQ(identity->user_data, config);
  EXPECT_THAT(requests_, SizeIs(2));
}

TEST_F(MetadataTest, WhatIsNotNovasIsNoIdentity) {
  for (const std::string& body : {std::string("<html>sign in</html>"),
                                  std::string("{}"),
                                  std::string(R"({"uuid": "a b"})"),
                                  std::string(R"({"uuid": "a", "hostname": "x)"),
                                  std::string(100000, '[')}) {
    pages_ = {{"GET /openstack/latest/meta_data.json", plain(body)},
              {"GET /openstack/latest/user_data", plain("x")}};
    EXPECT_FALSE(ask(Cloud::openstack)) << body.substr(0, 80);
    EXPECT_THAT(log_, HasSubstr("openstack: "));
  }
}

}  // namespace
}  // namespace goldmill::agent
