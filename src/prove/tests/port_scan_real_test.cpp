// SPDX-License-Identifier: GPL-3.0-or-later
// In a network of the test's own, where loopback is the machine.
#include <array>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <goldmill/machine/tap.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

#include "../port_scan.hpp"

namespace goldmill::prove {
namespace {
using system::UniqueFd;
using testing::Contains;
using testing::ElementsAre;
using testing::Not;

// Not the address that the scan sends from: a connect would meet itself.
constexpr const char* kMachine = "127.0.0.2";
constexpr std::uint16_t kWeb = 8080;
constexpr std::uint16_t kEcho = 5300;
constexpr std::uint16_t kQuiet = 5301;

UniqueFd bound(int type, std::uint16_t port) {
  UniqueFd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, kMachine, &address.sin_addr);
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return socket;
}

class PortScanReal : public testing::Test {
 protected:
  void SetUp() override {
    const std::string user = std::to_string(::getuid());
    ASSERT_EQ(::unshare(CLONE_NEWUSER | CLONE_NEWNET), 0);
    const auto map = system::open_file("/proc/self/uid_map", O_WRONLY);  // nft is root here
    ASSERT_TRUE(map) << map.error().text();
    ASSERT_TRUE(system::write_all(map->get(), "0 " + user + " 1"));
    ASSERT_TRUE(machine::set_up("lo"));
    web_ = bound(SOCK_STREAM, kWeb);
    ASSERT_EQ(::listen(web_.get(), 16), 0);
    quiet_ = bound(SOCK_DGRAM, kQuiet);
    echo_ = bound(SOCK_DGRAM, kEcho);
    answering_ = std::thread([this] { answer(); });
  }

  void TearDown() override {
    ::shutdown(echo_.get(), SHUT_RDWR);
    answering_.join();
  }

  void answer() {
    std::array<char, 16> data{};
    sockaddr_in from{};
    socklen_t length = sizeof from;
    auto* const sender = reinterpret_cast<sockaddr*>(&from);
    for (ssize_t size = 0;
         (size = ::recvfrom(echo_.get(), data.data(), data.size(), 0, sender, &length)) > 0;) {
      ::sendto(echo_.get(), data.data(), static_cast<std::size_t>(size), 0, sender, length);
    }
  }

  UniqueFd web_, quiet_, echo_;
  std::thread answering_;
};

TEST_F(PortScanReal, TellsWhatAnswersWithAndWithoutAFirewall) {
  const auto open = scan_ports(kMachine, "lo");
  ASSERT_TRUE(open) << open.error().text();
  EXPECT_THAT(open->tcp, ElementsAre(kWeb));
  EXPECT_EQ(open->udp.size(), 65534U) << "all but one say that nobody listens, or answer";
  EXPECT_THAT(open->udp, Contains(kEcho));
  EXPECT_THAT(open->udp, Not(Contains(kQuiet)));
  EXPECT_TRUE(may_answer_udp(kMachine, kQuiet));
  EXPECT_FALSE(may_answer_udp(kMachine, kQuiet + 1));

  const auto loaded = system::process_runner().run(
      {.argv = {
           "/usr/sbin/nft",
           "table inet t { chain input { type filter hook input priority filter; policy drop; "
           "ct state established accept; tcp dport 8080 accept; udp dport 5300 accept; }; }"}});
  ASSERT_TRUE(loaded) << loaded.error().text();
  ASSERT_EQ(loaded->status, 0) << loaded->errors;
  const auto closed = scan_ports(kMachine, "lo");
  ASSERT_TRUE(closed) << closed.error().text();
  EXPECT_THAT(closed->tcp, ElementsAre(kWeb));
  EXPECT_THAT(closed->udp, ElementsAre(kEcho));
}
}  // namespace
}  // namespace goldmill::prove
