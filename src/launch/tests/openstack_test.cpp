// SPDX-License-Identifier: GPL-3.0-or-later
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <goldmill/system/file.hpp>

#include "../openstack_credentials.hpp"
#include "../openstack_fleet.hpp"
#include "../openstack_project.hpp"

namespace goldmill::launch {

class CloudsFile : public testing::Test {
 protected:
  void SetUp() override {
    auto made = system::TemporaryDirectory::make("/tmp", "goldmill-clouds-");
    ASSERT_TRUE(made);
    directory_.emplace(std::move(made).value());
    variables_["OS_CLIENT_CONFIG_FILE"] = (directory_->path() / "clouds.yaml").string();
  }
  void write(const char* name, const std::string& text) const {
    ASSERT_TRUE(system::write_file(directory_->path() / name, text, 0600));
  }
  Result<CloudCredentials> read(const std::string& cloud = "") const {
    return cloud_credentials(cloud, [this](const char* name) -> std::optional<std::string> {
      const auto found = variables_.find(name);
      return found == variables_.end() ? std::nullopt : std::optional(found->second);
    });
  }

  std::optional<system::TemporaryDirectory> directory_;
  std::map<std::string, std::string> variables_;
};

namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kTwoClouds = R"(clouds:
  lab:
    region_name: here
    interface: internalURL
    cacert: /etc/lab.pem
    auth: {auth_url: "https://lab.example.org:5000/", username: mill, project_name: demo,
           user_domain_name: people}
  robot:
    auth_type: v3applicationcredential
    auth: {auth_url: "https://robot.example.org/v3", application_credential_id: abc,
           application_credential_secret: hidden}
)";

Flavor flavor(const std::string& name, Bytes memory, Bytes disk) {
  return {name, name, memory, 1, disk};
}

}  // namespace

TEST_F(CloudsFile, NamesTheCloudItsSecretsBesideIt) {
  write("clouds.yaml", kTwoClouds);
  write("secure.yaml", "clouds: {lab: {auth: {password: hidden}}}\n");
  const auto lab = read("lab");
  ASSERT_TRUE(lab) << lab.error().text();
  EXPECT_EQ(lab->auth_url, "https://lab.example.org:5000/v3");
  EXPECT_EQ(lab->interface, "internal");
  EXPECT_EQ(lab->authorities, "/etc/lab.pem");
  EXPECT_EQ(lab->login.dump(),
            R"({"auth":{"identity":{"methods":["password"],"password":{"user":{)"
            R"("domain":{"name":"people"},"name":"mill","password":"hidden"}}},)"
            R"("scope":{"project":{"domain":{"id":"default"},"name":"demo"}}}})");
}

TEST_F(CloudsFile, AnApplicationCredentialHasItsProject) {
  write("clouds.yaml", kTwoClouds);
  variables_["OS_CLOUD"] = "robot";
  const auto robot = read();
  ASSERT_TRUE(robot) << robot.error().text();
  EXPECT_EQ(robot->login.dump(),
            R"({"auth":{"identity":{"application_credential":{"id":"abc","secret":"hidden"},)"
            R"("methods":["application_credential"]}}})");
}

TEST_F(CloudsFile, SaysWhatIsMissingAndNeverASecret) {
  EXPECT_THAT(read().error().message, HasSubstr("no OpenStack cloud is known"));
  write("clouds.yaml", kTwoClouds);
  EXPECT_THAT(read().error().message, HasSubstr("several clouds"));
  EXPECT_THAT(read("lap").error().hint, HasSubstr("'lab'"));
  EXPECT_THAT(read("lab").error().message, HasSubstr("no password"));
  write("clouds.yaml", "clouds:\n  lab: {auth: {password: hidden}\n  x: [\n");
  EXPECT_THAT(read("lab").error().text(),
              testing::AllOf(HasSubstr("clouds.yaml:"), Not(HasSubstr("hidden"))));
  write("clouds.yaml", "clouds: {lab: {verify: false, auth: {auth_url: x}}}\n");
  EXPECT_THAT(read("lab").error().hint, HasSubstr("cacert"));
  write("clouds.yaml",
        "clouds: {lab: {auth: {auth_url: \"x\", token: \"a\\nb\", project_id: p}}}\n");
  EXPECT_THAT(read("lab").error().message, HasSubstr("control characters"));
}

TEST_F(CloudsFile, TheEnvironmentIsACloudOfItsOwn) {
  write("clouds.yaml", kTwoClouds);
  variables_["OS_AUTH_URL"] = "https://env.example.org/identity";
  variables_["OS_TOKEN"] = "t";
  variables_["OS_PROJECT_ID"] = "p";
  const auto found = read();
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(found->cloud, "environment");
  EXPECT_EQ(found->auth_url, "https://env.example.org/identity/v3");
  EXPECT_EQ(found->login["auth"]["scope"]["project"]["id"], "p");
}

TEST(ChooseFlavor, TakesTheSmallestThatFits) {
  const std::vector<Flavor> all = {flavor("wide", 1_GiB, 80_GiB),
                                   flavor("large", 4_GiB, 40_GiB),
                                   flavor("image", 1_GiB, Bytes{0}),
                                   flavor("tiny", 64_MiB, 1_GiB)};
  EXPECT_EQ(choose_flavor(all, {"", 512_MiB, 1, 4_GiB})->name, "image");
  EXPECT_EQ(choose_flavor(all, {"wide", 512_MiB, 1, 4_GiB})->name, "wide");
  EXPECT_THAT(choose_flavor(all, {"tiny", 192_MiB, 1, 4_GiB}).error().hint,
              HasSubstr("these fit: image"));
  EXPECT_EQ(choose_flavor(all, {"none", 1_MiB, 1, 4_GiB}).error().kind, ErrorKind::not_found);
  EXPECT_THAT(choose_flavor(all, {"", 8_GiB, 1, 4_GiB}).error().hint, HasSubstr("administrator"));
  EXPECT_FALSE(choose_flavor({}, {"", 1_MiB, 1, 1_MiB}));
}

TEST(ServerOf, ReadsWhatNovaSaysAndSurvivesWhatItShouldNot) {
  const auto server = server_of(Json::parse(R"({"id": "a-1", "status": "ERROR",
    "metadata": {"goldmill_instance": "m"}, "fault": {"message": "No valid host\u001b[2J"},
    "addresses": {"n": [{"addr": "2001:db8::1"}, {"addr": "198.18.0.2"},
                        {"addr": "203.0.113.9", "OS-EXT-IPS:type": "floating"},
                        {"addr": "-oProxyCommand=x", "OS-EXT-IPS:type": "floating"}]}})"));
  ASSERT_TRUE(server);
  EXPECT_EQ(server->mark, "m");
  EXPECT_EQ(server->address, "203.0.113.9");
  EXPECT_THAT(server->fault, Not(HasSubstr("\x1b")));
  for (const char* bad : {"{}", "[]", "7", R"({"id": "../x"})", R"({"id": 7})"}) {
    EXPECT_FALSE(server_of(Json::parse(bad))) << bad;
  }
  EXPECT_TRUE(server_of(Json::parse(R"({"id": "a", "addresses": {"n": 7, "m": [[]]},
    "metadata": [], "fault": "x", "status": 3})")));
}

TEST(TakeServer, SaysWhatNovaSays) {
  const auto state_of_status = [](const char* status) {
    Record record;
    record.server = Json::object();
    take_server(record, {"id", "mark", status, "", ""});
    return record.instance.state;
  };
  EXPECT_EQ(state_of_status("BUILD"), State::starting);
  EXPECT_EQ(state_of_status("ACTIVE"), State::ready);
  EXPECT_EQ(state_of_status("SHUTOFF"), State::stopped);
  EXPECT_EQ(state_of_status("SUSPENDED"), State::stopped);
  EXPECT_EQ(state_of_status("ERROR"), State::failed);
  EXPECT_EQ(state_of_status("A NEW WORD"), State::stopped);
}

TEST(TakeAbsence, WaitsForOneThatWasJustAskedFor) {
  Record record;
  record.server = {{"asked", ::time(nullptr)}};
  record.instance.state = State::starting;
  take_absence(record);
  EXPECT_EQ(record.instance.state, State::starting);
  record.server["asked"] = 1000;
  take_absence(record);
  EXPECT_EQ(record.instance.state, State::stopped);
}

TEST(NovasTime, IsReadAndWritten) {
  EXPECT_EQ(minute_before("2026-11-28T17:00:30Z"), "2026-11-28T16:59:30Z");
  EXPECT_EQ(minute_before("2027-01-01T00:00:00Z"), "2026-12-31T23:59:00Z");
  EXPECT_EQ(minute_before(""), "");
  EXPECT_EQ(minute_before("yesterday"), "");
  EXPECT_EQ(minute_before("2026-11-28T17:00:30Z&all_tenants=1"), "");
}

}  // namespace goldmill::launch
