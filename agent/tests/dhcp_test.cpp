// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp.hpp"

#include <gtest/gtest.h>

namespace goldmill::agent {
namespace {

const DhcpQuestion kFirst{.mac = {0x52, 0x54, 0, 0x12, 0x34, 0x56}, .transaction = 0x01020304};
const DhcpQuestion kSecond{.mac = kFirst.mac,
                           .transaction = kFirst.transaction,
                           .address = 0xC000020A,
                           .server = 0xC0000201};
const std::string kMask("\x01\x04\xff\xff\xff\x00", 6);
const std::string kRouter("\x03\x04\xc0\x00\x02\x01", 6);
const std::string kServer("\x36\x04\xc0\x00\x02\x01", 6);

std::string type(char number) {
  return std::string("\x35\x01", 2) + number;
}

/// A server's answer: what the client sent, turned round, with these options.
std::string answer(const std::string& options, const DhcpQuestion& question = kFirst) {
  std::string packet = dhcp_packet(question).substr(0, 28 + 240);
  packet[28] = 2;
  packet.replace(20, 4, std::string("\x00\x43\x00\x44", 4));
  packet.replace(28 + 16, 4, std::string("\xc0\x00\x02\x0a", 4));
  packet += options;
  const auto put = [&packet](std::size_t at, std::size_t value) {
    packet[at] = static_cast<char>(value >> 8U);
    packet[at + 1] = static_cast<char>(value & 255U);
  };
  put(2, packet.size());
  put(24, packet.size() - 20);
  return packet;
}

std::string good() {
  return answer(type(2) + kServer + kMask + kRouter + "\xff");
}

/// RFC 1071: over data with its own checksum the sum is all ones.
bool has_good_checksum(const std::string& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    sum += i % 2 == 0 ? byte * 256U : byte;
  }
  while (sum > 0xFFFF) {
    sum = (sum & 0xFFFFU) + (sum >> 16U);
  }
  return sum == 0xFFFF;
}

TEST(Dhcp, SendsWholePackets) {
  for (const DhcpQuestion& question : {kFirst, kSecond}) {
    const std::string packet = dhcp_packet(question);
    EXPECT_EQ(packet.size(), 328U);
    EXPECT_TRUE(has_good_checksum(packet.substr(0, 20)));
    EXPECT_TRUE(has_good_checksum(packet.substr(12, 8) + std::string("\0\x11", 2) +
                                  packet.substr(24, 2) + packet.substr(20)));
    EXPECT_EQ(packet.substr(28, 8), std::string("\x01\x01\x06\x00\x01\x02\x03\x04", 8));
    EXPECT_EQ(packet.substr(28 + 28, 6), std::string("\x52\x54\x00\x12\x34\x56", 6));
    EXPECT_NE(packet.find(std::string("\x3d\x07\x01\x52\x54\x00\x12\x34\x56", 9)),
              std::string::npos)
        << "the client id is the MAC";
  }
  const std::string request = dhcp_packet(kSecond);
  EXPECT_NE(request.find(std::string("\x32\x04\xc0\x00\x02\x0a", 6)), std::string::npos);
  EXPECT_NE(request.find(kServer), std::string::npos);
  EXPECT_EQ(dhcp_packet(kFirst).find(kServer), std::string::npos);
}

TEST(Dhcp, ReadsOfferAndLease) {
  const auto offer = read_dhcp_answer(good(), kFirst);
  ASSERT_TRUE(offer);
  EXPECT_EQ(offer->kind, DhcpAnswer::Kind::offer);
  EXPECT_EQ(offer->address, 0xC000020AU);
  EXPECT_EQ(offer->mask, 0xFFFFFF00U);
  EXPECT_EQ(offer->server, 0xC0000201U);
  EXPECT_EQ(offer->gateway, 0xC0000201U);
  const auto bare = read_dhcp_answer(answer(type(5) + kServer + "\xff"), kSecond);
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->kind, DhcpAnswer::Kind::acknowledged);
  EXPECT_EQ(bare->mask, 0xFFFFFFFFU);
  EXPECT_EQ(bare->gateway, 0U) << "on the link";
  const auto refused = read_dhcp_answer(answer(type(6) + kServer + "\xff"), kSecond);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->kind, DhcpAnswer::Kind::refused);
}

TEST(Dhcp, TheNarrowestRouteLeadsToTheService) {
  const auto gateway = [](const std::string& routes) {
    const std::string option = "\x79" + std::string(1, static_cast<char>(routes.size())) + routes;
    const auto read =
        read_dhcp_answer(answer(type(2) + kServer + kRouter + option + "\xff"), kFirst);
    return read ? read->gateway : 1;
  };
  const std::string standard("\x00\xc0\x00\x02\x07", 5);
  const std::string host("\x20\xa9\xfe\xa9\xfe\xc0\x00\x02\x03", 9);
  EXPECT_EQ(gateway(standard), 0xC0000207U) << "not the router option (RFC 3442)";
  EXPECT_EQ(gateway(host + standard), 0xC0000203U);
  EXPECT_EQ(gateway(standard + host), 0xC0000203U);
  EXPECT_EQ(gateway(std::string("\x10\xa9\xfe\x00\x00\x00\x00", 7) + standard), 0U)
      << "on the link";
  EXPECT_EQ(gateway(std::string("\x18\xc0\x00\x02\xc0\x00\x02\x09", 8)), 0U) << "leads elsewhere";
  EXPECT_EQ(gateway(std::string("\x21\xa9\xfe\xa9\xfe\x00\xc0\x00\x02\x03", 10)), 0U) << "33 bits";
  EXPECT_EQ(gateway(host.substr(0, 8)), 0U) << "cut";
}

TEST(Dhcp, RefusesEveryOtherPacket) {
  const auto with = [](std::size_t at, char byte) {
    std::string packet = good();
    packet[at] = byte;
    return packet;
  };
  for (const std::string& bad : {
           with(0, 0x44),        // a header of 16 bytes
           with(0, 0x4f),        // options that eat the UDP header's ports
           with(0, 0x65),        // IPv6
           with(2, 0x7f),        // longer than what came
           with(3, 27),          // no room for UDP
           with(6, 0x20),        // a fragment
           with(9, 6),           // TCP
           with(21, 66),         // not from a server's port
           with(23, 67),         // not to a client's port
           with(24, 0x7f),       // UDP longer than IP
           with(25, 7),          // UDP shorter than its header
           with(28, 1),          // a request
           with(28 + 2, 16),     // no Ethernet
           with(28 + 7, 0),      // another transaction
           with(28 + 33, 0x57),  // for another card
           with(28 + 236, 0),    // BOOTP without DHCP
           with(28 + 16, 0),     // addresses that no host has
           with(28 + 16, 127),
           with(28 + 16, '\xe0'),
           answer(type(2) + kServer + kMask),       // cut: no end
           answer(type(2) + kServer + "\x01\xff"),  // longer than the message
           answer(type(2) + kServer + "\x01"),
           answer(type(2) + kMask + "\xff"),  // who?
           answer(kServer + "\xff"),          // what?
           answer(type(1) + kServer + "\xff"),
           answer(type(5) + kServer + "\xff"),  // a lease before the offer
           answer(type(6) + kServer + "\xff"),
           answer(std::string("\x35\x00", 2) + kServer + "\xff"),
           answer(type(2) + kServer + std::string("\x01\x04\xff\x00\xff\x00\xff", 7)),
           answer(type(2) + kServer + std::string("\x01\x04\x00\x00\x00\x00\xff", 7)),
           good() + std::string(2000, '\0'),
       }) {
    EXPECT_FALSE(read_dhcp_answer(bad, kFirst)) << testing::PrintToString(bad.substr(0, 40));
  }
  EXPECT_FALSE(read_dhcp_answer(answer(type(2) + kServer + "\xff"), kSecond)) << "asked already";
  EXPECT_FALSE(read_dhcp_answer(
      answer(type(5) + std::string("\x36\x04\xc0\x00\x02\x02", 6) + "\xff"), kSecond))
      << "another server's";
}

TEST(Dhcp, NoPacketIsTooShortToBeRead) {
  const std::string packet = good();
  for (std::size_t size = 0; size < packet.size(); ++size) {
    // On the heap at its exact size, so that a sanitizer sees a read behind it.
    const std::string cut = packet.substr(0, size);
    EXPECT_FALSE(read_dhcp_answer(cut, kFirst)) << size;
  }
}

TEST(Dhcp, AnyBytesAreSurvived) {
  std::uint32_t state = 1;
  const auto random = [&state] { return state = state * 1664525 + 1013904223; };
  for (int round = 0; round < 20000; ++round) {
    std::string packet = good();
    for (std::uint32_t i = 0; i < 1 + round % 4U; ++i) {
      packet[(random() >> 8U) % packet.size()] = static_cast<char>(random() >> 24U);
    }
    packet.resize((random() >> 8U) % (packet.size() + 1));
    static_cast<void>(read_dhcp_answer(packet, kFirst));
  }
}

}  // namespace
}  // namespace goldmill::agent
