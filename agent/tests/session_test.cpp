// SPDX-License-Identifier: GPL-3.0-or-later
#include "session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text.hpp"

namespace goldmill::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kSessionKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO ops@example.org";

About about() {
  return {.architecture = "amd64",
          .boot_id = "0b1f2f5e-8a0c-4c3e-9a53-0d7f8d1f2a77",
          .hostname = "web-001",
          .machine_id = std::string(32, 'a'),
          .ssh_host_key = "ssh-ed25519 AAAA"};
}

std::string no_address() {
  return "";
}

std::string drain(Session& session) {
  return std::exchange(session.output(), "");
}

TEST(Session, GivesTheWholeIdentityAtEnd) {
  Session session(about(), no_address);
  session.connected();
  EXPECT_THAT(drain(session), StartsWith("hello protocol=2 agent="));
  const std::string text =
      "begin protocol=1\nhostname name=web-001\ninstance id=f7-1\n"
      "seed bytes_b64=" +
      base64_encode(std::string(32, 's')) +
      "\n"
      "ssh-key user=ops line_b64=" +
      base64_encode(kSessionKey) +
      "\n"
      "network mac=52:54:00:12:34:56 address=192.0.2.10/24,2001:db8::1/64 dns=192.0.2.53\n"
      "user-data part_b64=" +
      base64_encode("#cloud-") +
      "\n"
      "user-data part_b64=" +
      base64_encode("config\n") + "\n";
  EXPECT_TRUE(session.receive(text, 1).empty());
  // The pieces come as the device gives them.
  EXPECT_TRUE(session.receive("en", 1).empty());
  const auto requests = session.receive("d\n", 1);
  ASSERT_EQ(requests.size(), 1U);
  const Identity& identity = requests[0].identity;
  EXPECT_EQ(identity.source, "port");
  EXPECT_EQ(identity.hostname, "web-001");
  EXPECT_EQ(identity.seeds, std::vector<std::string>{std::string(32, 's')});
  ASSERT_EQ(identity.ssh_keys.size(), 1U);
  EXPECT_EQ(identity.ssh_keys[0].user, "ops");
  EXPECT_EQ(identity.ssh_keys[0].line, kSessionKey);
  ASSERT_EQ(identity.networks.size(), 1U);
  EXPECT_EQ(identity.networks[0].addresses.size(), 2U);
  EXPECT_EQ(identity.user_data, "#cloud-config\n");
  EXPECT_EQ(drain(session), "");
}

TEST(Session, AnswersInEveryState) {
  Session session(about(), [] { return std::string("192.0.2.10"); });
  session.receive("ping id=7\n", 41);
  EXPECT_EQ(drain(session), "pong id=7 state=waiting uptime_ms=41\n");
  EXPECT_TRUE(session.receive("poweroff\n", 41).empty());
  EXPECT_THAT(drain(session), HasSubstr("code=wrong_state"));
  session.ready(50);
  EXPECT_EQ(drain(session), "") << "ready comes after personalised";
  session.personalised(about(), "none");
  EXPECT_THAT(drain(session),
              StartsWith("personalised source=none hostname=web-001 machine_id=aaa"));
  session.ready(60);
  EXPECT_THAT(drain(session), HasSubstr("uptime_ms=60 address=192.0.2.10\n"));
  const auto requests = session.receive("poweroff\ntime unix_ns=1790000000000000001\n", 61);
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].kind, Request::Kind::poweroff);
  EXPECT_EQ(requests[1].unix_ns, 1790000000000000001U);
}

TEST(Session, ASettledGuestTakesAnotherIdentity) {
  Session session(about(), no_address);
  session.receive("settle\nbegin protocol=2 reason=resume\n", 1);
  EXPECT_THAT(drain(session), HasSubstr("for=settle code=wrong_state"));
  session.personalised(about(), "port");
  session.ready(50);
  session.receive("begin protocol=2 reason=resume\n", 1);
  EXPECT_THAT(drain(session), HasSubstr("for=begin code=wrong_state")) << "it is not settled";
  const auto wanted = session.receive("settle\n", 60);
  ASSERT_EQ(wanted.size(), 1U);
  EXPECT_EQ(wanted[0].kind, Request::Kind::settle);
  EXPECT_EQ(drain(session), "") << "ok comes when it is done";
  session.settled();
  EXPECT_EQ(drain(session), "ok for=settle\n");
  const auto requests = session.receive(
      "begin protocol=2 reason=resume\nclock unix_ns=1790000000000000001\n"
      "link mac=02:00:00:00:00:07\nhostname name=web-007\nend\n",
      70);
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_TRUE(requests[0].identity.resumes);
  EXPECT_EQ(requests[0].identity.mac, "02:00:00:00:00:07");
  EXPECT_EQ(requests[0].identity.unix_ns, 1790000000000000001U);
  session.personalised(about(), "port");
  session.ready(80);
  drain(session);
  session.receive("begin protocol=2 reason=resume\n", 90);
  EXPECT_THAT(drain(session), HasSubstr("code=wrong_state")) << "once";
}

TEST(Session, OnlyAResumingIdentityHasLinkAndClock) {
  Session session(about(), no_address);
  session.receive("begin protocol=1\nlink mac=02:00:00:00:00:07\nclock unix_ns=1\n", 1);
  const std::string text = drain(session);
  EXPECT_THAT(text, HasSubstr("for=link code=wrong_state"));
  EXPECT_THAT(text, HasSubstr("for=clock code=wrong_state"));
}

TEST(Session, ALateHostLearnsEverything) {
  Session session(about(), no_address);
  session.personalised(about(), "cidata");
  session.ready(60);
  session.disconnected();
  session.connected();
  const std::string text = drain(session);
  EXPECT_THAT(text, StartsWith("hello "));
  EXPECT_THAT(text, HasSubstr("\npersonalised source=cidata "));
  EXPECT_THAT(text, HasSubstr("\nready "));
  session.receive("begin protocol=1\n", 1);
  EXPECT_THAT(drain(session), HasSubstr("code=wrong_state"));
}

TEST(Session, RefusesBadValuesAndKeepsTheRest) {
  Session session(about(), no_address);
  session.receive("begin protocol=1\n", 1);
  for (const char* bad : {"hostname name=a_b",
                          "hostname",
                          "seed bytes_b64=QUJD",
                          "seed bytes_b64=*",
                          "ssh-key user=../x line_b64=QUJD",
                          "ssh-key user=ops line_b64=QUJD",
                          "instance id=a/b",
                          "network address=192.0.2.1/24",
                          "network mac=52:54:00:12:34:56 address=1.2.3.4",
                          "network mac=52:54:00:12:34:56 dns=1.2.3.4,,1.2.3.4"}) {
    session.receive(std::string(bad) + "\n", 1);
    EXPECT_THAT(drain(session), HasSubstr("code=invalid")) << bad;
  }
  const auto requests = session.receive("hostname name=good\nend\n", 1);
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].identity.hostname, "good");
  EXPECT_TRUE(requests[0].identity.ssh_keys.empty());
  EXPECT_TRUE(requests[0].identity.networks.empty());
}

TEST(Session, RefusesWhatTheGrammarDoesNotAllow) {
  for (const char* bad : {"",
                          " ",
                          "Ping id=1",
                          "ping  id=1",
                          "ping id",
                          "ping id=1 id=2",
                          "ping i-d=1",
                          "ping id=\x01",
                          "ping id=\xC3\xA4",
                          "ping id=1\r"}) {
    EXPECT_FALSE(parse_line(bad)) << bad;
  }
  std::string many = "ping";
  for (int i = 0; i < 33; ++i) {
    many += " k" + std::to_string(i) + "=";
  }
  EXPECT_FALSE(parse_line(many));
  Session session(about(), no_address);
  session.receive("run command=reboot\n", 1);
  EXPECT_THAT(drain(session), HasSubstr("error for=run code=unknown_verb"));
  for (const char* later : {"begin protocol=3", "begin protocol=2", "begin protocol=1 reason=x"}) {
    session.receive(std::string(later) + "\n", 1);
    EXPECT_THAT(drain(session), HasSubstr("code=unsupported")) << later;
  }
}

TEST(Session, BoundsLinesItemsAndOutput) {
  Session session(about(), no_address);
  session.receive(std::string(100000, 'a'), 1);
  session.receive(std::string(100000, 'a'), 1);
  session.receive("aaa\nping id=1\n", 1);
  const std::string text = drain(session);
  EXPECT_THAT(text, StartsWith("error for=line code=invalid"));
  EXPECT_THAT(text, HasSubstr("\npong id=1 "));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);

  session.receive("begin protocol=1\n", 1);
  const std::string part = "user-data part_b64=" + base64_encode(std::string(40000, 'u')) + "\n";
  for (int i = 0; i < 7; ++i) {
    session.receive(part, 1);
  }
  EXPECT_THAT(drain(session), HasSubstr("code=too_much"));
  for (int i = 0; i < 65; ++i) {
    session.receive("ssh-key user=ops line_b64=" + base64_encode(kSessionKey) + "\n", 1);
  }
  EXPECT_THAT(drain(session), HasSubstr("code=too_much"));
  for (int i = 0; i < 100000; ++i) {
    session.receive("ping id=1\n", 1);
  }
  EXPECT_LE(session.output().size(), 256U * 1024U);
}

TEST(Session, ADisconnectDropsHalfAnIdentity) {
  Session session(about(), no_address);
  session.receive("begin protocol=1\nhostname name=a\nen", 1);
  session.disconnected();
  EXPECT_FALSE(session.has_begun());
  session.receive("d\n", 1);
  EXPECT_THAT(drain(session), HasSubstr("code=unknown_verb"));
}

}  // namespace
}  // namespace goldmill::agent
