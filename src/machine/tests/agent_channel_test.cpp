// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <thread>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <goldmill/base/base64.hpp>
#include <goldmill/machine/agent_channel.hpp>

namespace goldmill::machine {

using system::UniqueFd;

namespace {
constexpr const char* kBoot = "0b1f2f5e-8a0c-4c3e-9a53-0d7f8d1f2a77";

Identity identity() {
  return {"web-001", "fleet-web-001", std::string(64, 's'), {{"ops", "ssh-ed25519 AAAA ops"}}, ""};
}

std::string personalised(const std::string& key = "ssh-ed25519 AAAAC3Nz") {
  return "personalised source=port hostname=web-001 "
         "machine_id=5c0d7c2e6f6e4a0f8b7f0a4a9c1d2e3f boot_id=" +
         std::string(kBoot) + " ssh_host_key_b64=" + base64(key) + "\n";
}

/// Both ends of a port; the guest's is played by the test.
class Port {
 public:
  Port() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    channel_ = AgentChannel(UniqueFd(ends[0]));
    guest_ = UniqueFd(ends[1]);
  }
  void say(const std::string& text) { ASSERT_TRUE(system::write_all(guest_.get(), text)); }
  std::string hear_until(const std::string& end) {
    std::string heard;
    char byte = 0;
    while (heard.find(end) == std::string::npos && ::read(guest_.get(), &byte, 1) == 1) {
      heard += byte;
    }
    return heard;
  }
  void hang_up() { guest_.reset(); }
  Result<AgentReport> personalise(AgentChannel::Goal goal = AgentChannel::Goal::ready,
                                  int milliseconds = 2000) {
    return channel_.personalise(identity(), {goal, std::chrono::milliseconds(milliseconds)});
  }

  AgentChannel& channel() { return channel_; }

 private:
  AgentChannel channel_{UniqueFd()};
  UniqueFd guest_;
};
}  // namespace

TEST(AgentLine, KeepsTheGrammar) {
  const auto line = parse_agent_line("hello protocol=1 empty= a_1=x=y");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->verb, "hello");
  EXPECT_EQ(line->value("empty"), "");
  EXPECT_EQ(line->value("a_1"), "x=y");
  for (const std::string& bad : {std::string(),
                                 std::string(" hello"),
                                 std::string("Hello"),
                                 std::string("hello "),
                                 std::string("hello a"),
                                 std::string("hello a=1 a=2"),
                                 std::string("hello a=1  b=2"),
                                 std::string("hello a=\x01"),
                                 std::string("hello a=\xc3"),
                                 std::string("hello\r"),
                                 std::string("hello a=\0b", 10),
                                 std::string(33, 'a'),
                                 "hello a=" + std::string(65536, 'b')}) {
    EXPECT_FALSE(parse_agent_line(bad)) << bad.substr(0, 40);
  }
}

TEST(AgentChannel, RefusesAGuestThatIsSomebodyElse) {
  Port port;
  port.say("hello protocol=2 state=ready\npersonalised source=none hostname=localhost machine_id=" +
           std::string(32, 'a') + " boot_id=" + kBoot + "\nready boot_id=" + kBoot +
           " uptime_ms=18230\n");
  const auto report = port.personalise();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::conflict);
}

TEST(AgentChannel, GivesTheIdentityAndHearsOfIt) {
  Port port;
  std::string heard;
  std::thread guest([&] {
    port.say("hello protocol=1 agent=0.1.0 architecture=amd64 state=waiting boot_id=" +
             std::string(kBoot) + "\n");
    heard = port.hear_until("\nend\n");
    port.say("warning about=grow message_b64=" + base64("bad \x1b[31m disk") + "\n" +
             personalised() + "later-verb x=1\nready boot_id=" + kBoot + " uptime_ms=18230\n");
  });
  const auto report = port.personalise();
  guest.join();
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_EQ(heard,
            "begin protocol=1\nhostname name=web-001\ninstance id=fleet-web-001\n"
            "seed bytes_b64=" +
                base64(std::string(64, 's')) +
                "\nssh-key user=ops line_b64=" + base64("ssh-ed25519 AAAA ops") + "\nend\n");
  EXPECT_EQ(report->machine_id, "5c0d7c2e6f6e4a0f8b7f0a4a9c1d2e3f");
  EXPECT_EQ(report->ssh_host_key, "ssh-ed25519 AAAAC3Nz");
  EXPECT_EQ(report->uptime.count(), 18230);
  ASSERT_EQ(report->warnings.size(), 1U);
  EXPECT_EQ(report->warnings[0], "grow:  bad  disk");
}

TEST(AgentChannel, ACopyOfASettledGuestGetsAnotherIdentity) {
  Port port;
  const Resumption resumption{identity(),
                              "02:00:00:00:00:07",
                              StaticNetwork{"10.64.7.15/24", "10.64.7.2", "10.64.7.3"},
                              std::chrono::nanoseconds(17)};
  std::string heard;
  std::thread guest([&] {
    heard = port.hear_until("\nend\n");
    // What it was before, as one says that was saved without a host; then what it is.
    port.say("hello protocol=2 state=settled\npersonalised source=port hostname=warm machine_id=" +
             std::string(32, 'b') + " boot_id=" + kBoot +
             " ssh_host_key_b64=\nready boot_id=" + kBoot + " uptime_ms=1\n" + personalised() +
             "ready boot_id=" + kBoot + " uptime_ms=2\n");
  });
  const auto report = port.channel().resume(resumption, std::chrono::seconds(2));
  guest.join();
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_EQ(report->hostname, "web-001");
  EXPECT_EQ(report->machine_id, "5c0d7c2e6f6e4a0f8b7f0a4a9c1d2e3f");
  EXPECT_EQ(heard.find("begin protocol=2 reason=resume\nclock unix_ns=17\n"
                       "link mac=02:00:00:00:00:07\nnetwork mac=02:00:00:00:00:07 "
                       "address=10.64.7.15/24 gateway=10.64.7.2 dns=10.64.7.3\n"
                       "hostname name=web-001\n"),
            0U);
}

TEST(AgentChannel, OneThatTakesNoOtherIdentityIsAnError) {
  Port port;
  port.say("error for=begin code=unsupported message_b64=\n");
  const Resumption resumption{identity(), "02:00:00:00:00:07", std::nullopt, {}};
  EXPECT_EQ(port.channel().resume(resumption, std::chrono::seconds(2)).error().kind,
            ErrorKind::corrupt);
}

TEST(AgentChannel, HearsOfAnAddressThatCameLater) {
  Port port;
  const std::string ready = "ready boot_id=" + std::string(kBoot) + " uptime_ms=1 address=";
  port.say("hello protocol=2 state=ready\n" + personalised() + ready + "\n");
  AgentChannel& channel = port.channel();
  const AgentChannel::Waiting waiting{AgentChannel::Goal::ready, std::chrono::seconds(2)};
  EXPECT_EQ(channel.personalise(identity(), waiting)->address, "");
  std::thread guest([&] {
    EXPECT_EQ(port.hear_until("\n"), "status\n");
    port.say("hello protocol=2 state=ready\n" + personalised() + ready + "192.0.2.10\n");
  });
  const auto report = channel.status(std::chrono::seconds(2));
  guest.join();
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_EQ(report->address, "192.0.2.10");
}

TEST(AgentChannel, AnOldAgentCannotSettle) {
  Port port;
  port.say("hello protocol=1 state=ready\n" + personalised() + "ready boot_id=" + kBoot +
           " uptime_ms=1\n");
  ASSERT_TRUE(port.personalise());
  const auto settled = port.channel().settle(std::chrono::seconds(2));
  EXPECT_EQ(settled.error().kind, ErrorKind::unavailable);
  EXPECT_NE(settled.error().hint.find("build"), std::string::npos);
}

TEST(AgentChannel, HostileGuestsAreCutOff) {
  const std::string hello = "hello protocol=1 state=ready\n";
  const std::string id = "machine_id=5c0d7c2e6f6e4a0f8b7f0a4a9c1d2e3f";
  for (const std::string& bad :
       {std::string(70000, 'a'),                              // a line without end
        std::string("\x7f\x45LF\n"),                          // no line at all
        personalised("ssh-ed25519 AAAA\nevil ssh-rsa AAAA"),  // a second known_hosts line
        personalised("ssh-ed25519 AAAA @cert-authority *"),   // more than a key
        personalised("ssh-rsa AAAA"),                         // another type
        "personalised hostname=../../x " + id + " boot_id=" + kBoot + " ssh_host_key_b64=\n",
        "personalised hostname=x machine_id=short boot_id=" + std::string(kBoot) + "\n",
        "personalised hostname=x " + id + " boot_id=x ssh_host_key_b64=\n",
        "personalised hostname=x " + id + " boot_id=" + kBoot + " ssh_host_key_b64=%\n",
        personalised() + "ready boot_id=" + kBoot + " uptime_ms=1 address=$(id)\n",
        personalised() + "ready boot_id=" + kBoot + " uptime_ms=1 address=127.0.0.1\n",
        personalised() + "ready boot_id=" + kBoot + " uptime_ms=1 address=0.0.0.0\n",
        personalised() + "ready boot_id=" + kBoot + " uptime_ms=1 address=255.255.255.255\n"}) {
    Port port;
    std::thread guest([&] { port.say(hello + bad); });
    const auto report = port.personalise();
    guest.join();
    ASSERT_FALSE(report) << bad.substr(0, 80);
    EXPECT_EQ(report.error().kind, ErrorKind::corrupt) << bad.substr(0, 80);
  }
}

TEST(AgentChannel, EndlessTalkSilenceAndHangUpEnd) {
  Port chatter;
  std::string much;
  for (int i = 0; i < 2000; ++i) {
    much += "nonsense\n";
  }
  chatter.say(much);
  EXPECT_EQ(chatter.personalise().error().kind, ErrorKind::corrupt);
  Port silent;
  EXPECT_EQ(silent.personalise(AgentChannel::Goal::hello, 50).error().kind, ErrorKind::cancelled);
  Port gone;
  gone.hang_up();
  EXPECT_EQ(gone.personalise().error().kind, ErrorKind::unavailable);
  EXPECT_FALSE(gone.channel().status(std::chrono::milliseconds(50)));
}

TEST(AgentChannel, AGuestThatDoesNotReadHoldsNobodyUp) {
  Identity heavy = identity();
  heavy.user_data = std::string(256U << 10U, 'u');  // more than a socket takes unread
  Port cold;
  cold.say("hello protocol=1 state=waiting\n");
  const AgentChannel::Waiting waiting{AgentChannel::Goal::ready, std::chrono::milliseconds(300)};
  EXPECT_EQ(cold.channel().personalise(heavy, waiting).error().kind, ErrorKind::cancelled);

  Port warm;
  const Resumption resumption{heavy, "02:00:00:00:00:07", std::nullopt, {}};
  const auto full = [] { return Error{ErrorKind::no_space, "the disk is full"}; };
  EXPECT_EQ(warm.channel().resume(resumption, std::chrono::minutes(5), full).error().kind,
            ErrorKind::no_space);
}

TEST(IdentityLines, RefuseWhatTheProtocolForbids) {
  Identity bad = identity();
  bad.hostname = "a b";
  EXPECT_EQ(identity_lines(bad).error().kind, ErrorKind::invalid_input);
  bad = identity();
  bad.seed = "short";
  EXPECT_FALSE(identity_lines(bad));
  bad = identity();
  bad.keys[0].line = "ssh-ed25519 AAAA\nssh-rsa evil";
  EXPECT_FALSE(identity_lines(bad));
  bad = identity();
  bad.user_data = std::string(300U << 10U, 'u');
  EXPECT_FALSE(identity_lines(bad));
}

}  // namespace goldmill::machine
