// SPDX-License-Identifier: GPL-3.0-or-later
#include "../greeting.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace goldmill::launch {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace {
Record record_on(const char* network) {
  Record record;
  record.instance.name = "web-001";
  record.instance.hostname = "web-001";
  record.network = Network::parse(network).value();
  return record;
}

machine::AgentReport report_of(const char* hostname, const char* address) {
  machine::AgentReport report;
  report.hostname = hostname;
  report.machine_id = std::string(32, 'a');
  report.personalised = true;
  report.ready = true;
  report.address = address;
  return report;
}
}  // namespace

TEST(TakeReport, AGuestDoesNotNameItselfAsAnother) {
  Record record = record_on("bridge=br0");
  take_report(record, report_of("bank.example.org", "192.0.2.10"));
  take_report(record, report_of("bank.example.org", "192.0.2.10"));
  EXPECT_EQ(record.instance.hostname, "web-001");
  EXPECT_EQ(record.instance.address, "192.0.2.10");
  EXPECT_EQ(record.instance.state, State::ready);
  EXPECT_THAT(record.instance.warnings, ElementsAre("it calls itself bank.example.org"));
}

TEST(TakeReport, AnAddressThatAGuestCannotHaveIsNotUsed) {
  for (const auto& [network, address] : {std::pair("bridge=br0", "127.0.0.1"),  // this machine's
                                         std::pair("network=default", "127.0.0.1"),
                                         std::pair("netns=lan", "192.0.2.10"),
                                         std::pair("netns=lan", "198.18.0.1")}) {
    Record record = record_on(network);
    take_report(record, report_of("web-001", address));
    EXPECT_EQ(record.instance.address, "") << network << " " << address;
    EXPECT_THAT(record.instance.warnings, ElementsAre(HasSubstr(address)));
  }
  Record record = record_on("netns=lan");
  take_report(record, report_of("web-001", "198.18.3.9"));
  EXPECT_EQ(record.instance.address, "198.18.3.9");
  EXPECT_THAT(record.instance.warnings, IsEmpty());
}

TEST(CheckIdentity, AStepThatFailedIsAnErrorAndOtherTroubleIsNot) {
  machine::AgentReport report = report_of("web-001", "");
  EXPECT_TRUE(check_identity(report));
  report.warnings = {"grow: no room"};
  EXPECT_TRUE(check_identity(report));
  report.warnings.emplace_back("ssh-key: no user ops");
  EXPECT_THAT(check_identity(report).error().message, HasSubstr("ssh-key: no user ops"));
  report.warnings.clear();
  report.machine_id.clear();
  EXPECT_THAT(check_identity(report).error().message, HasSubstr("machine-id"));
}

}  // namespace goldmill::launch
