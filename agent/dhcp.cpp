// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp.hpp"

#include <algorithm>
#include <map>

namespace goldmill::agent {
namespace {

constexpr std::size_t kIpHeader = 20;
constexpr std::size_t kUdpHeader = 8;
constexpr std::size_t kFixed = 236;  // of a BOOTP message, before the options
constexpr std::size_t kLeast = 300;  // some relays drop shorter messages
constexpr std::size_t kLongest = 1500;
constexpr std::string_view kCookie = "\x63\x82\x53\x63";

// Options, by RFC 2132 and RFC 3442.
constexpr std::uint8_t kPad = 0;
constexpr std::uint8_t kSubnetMask = 1;
constexpr std::uint8_t kRouter = 3;
constexpr std::uint8_t kRequestedAddress = 50;
constexpr std::uint8_t kMessageType = 53;
constexpr std::uint8_t kServer = 54;
constexpr std::uint8_t kWantedOptions = 55;
constexpr std::uint8_t kClient = 61;
constexpr std::uint8_t kRoutes = 121;
constexpr std::uint8_t kEnd = 255;

// Types of message.
constexpr std::uint8_t kDiscover = 1;
constexpr std::uint8_t kOffer = 2;
constexpr std::uint8_t kRequest = 3;
constexpr std::uint8_t kAcknowledge = 5;
constexpr std::uint8_t kRefuse = 6;

void put(std::string& bytes, std::uint32_t value, int size) {
  for (int shift = (size - 1) * 8; shift >= 0; shift -= 8) {
    bytes += static_cast<char>(value >> static_cast<unsigned>(shift) & 255U);
  }
}

/// Reads a big-endian number; the caller has checked that it is there.
std::uint32_t number_at(std::string_view bytes, std::size_t index, std::size_t size) {
  std::uint32_t number = 0;
  for (std::size_t i = index; i < index + size; ++i) {
    number = number << 8U | static_cast<std::uint8_t>(bytes[i]);
  }
  return number;
}

/// RFC 1071.
std::uint32_t checksum(std::string bytes) {
  bytes.resize((bytes.size() + 1) / 2 * 2);
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += number_at(bytes, i, 2);
  }
  sum = (sum & 0xFFFFU) + (sum >> 16U);
  return ~((sum & 0xFFFFU) + (sum >> 16U)) & 0xFFFFU;
}

void put_option(std::string& bytes, std::uint8_t option, std::string_view value) {
  bytes += static_cast<char>(option);
  bytes += static_cast<char>(value.size());
  bytes += value;
}

std::string address_bytes(Ipv4 address) {
  std::string bytes;
  put(bytes, address, 4);
  return bytes;
}

std::string message(const DhcpQuestion& question) {
  const std::string mac(question.mac.begin(), question.mac.end());
  std::string bytes("\x01\x01\x06\x00", 4);  // a request, on Ethernet
  put(bytes, question.transaction, 4);
  bytes.resize(28);
  bytes += mac;
  bytes.resize(kFixed);
  bytes += kCookie;
  const bool is_first = question.server == 0;
  put_option(bytes, kMessageType, std::string{static_cast<char>(is_first ? kDiscover : kRequest)});
  // The same client as systemd-networkd will be (ClientIdentifier=mac), so it gets this lease.
  put_option(bytes, kClient, "\x01" + mac);
  if (!is_first) {
    put_option(bytes, kRequestedAddress, address_bytes(question.address));
    put_option(bytes, kServer, address_bytes(question.server));
  }
  put_option(bytes, kWantedOptions, std::string{kSubnetMask, kRouter, kRoutes});
  bytes += static_cast<char>(kEnd);
  bytes.resize(std::max(bytes.size(), kLeast));
  return bytes;
}

/// The DHCP message in an IPv4 packet from a server's port to a client's, or "". UDP's checksum
/// is passed over: a virtual card leaves it to be filled in later.
std::string_view message_of(std::string_view packet) {
  if (packet.size() < kIpHeader || packet.size() > kLongest) {
    return {};
  }
  const std::size_t header = std::size_t{4} * (number_at(packet, 0, 1) & 15U);
  const std::size_t total = number_at(packet, 2, 2);
  const bool is_whole_udp = number_at(packet, 0, 1) >> 4U == 4 && header >= kIpHeader &&
                            total <= packet.size() && total >= header + kUdpHeader &&
                            (number_at(packet, 6, 2) & 0x3FFFU) == 0 &&  // no fragment
                            number_at(packet, 9, 1) == 17;
  if (!is_whole_udp) {
    return {};
  }
  const std::string_view udp = packet.substr(header, total - header);
  const std::size_t length = number_at(udp, 4, 2);
  if (number_at(udp, 0, 2) != 67 || number_at(udp, 2, 2) != 68 || length < kUdpHeader ||
      length > udp.size()) {
    return {};
  }
  return udp.substr(kUdpHeader, length - kUdpHeader);
}

/// Options by their number, each at its first place; empty when the list is broken.
std::map<std::uint8_t, std::string_view> options_of(std::string_view bytes) {
  std::map<std::uint8_t, std::string_view> options;
  while (!bytes.empty()) {
    const auto option = static_cast<std::uint8_t>(bytes[0]);
    if (option == kEnd) {
      return options;
    }
    if (option == kPad) {
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t size = bytes.size() < 2 ? 0 : number_at(bytes, 1, 1);
    if (bytes.size() < 2 + size) {
      return {};
    }
    options.emplace(option, bytes.substr(2, size));
    bytes.remove_prefix(2 + size);
  }
  return {};  // without its end it was cut
}

Ipv4 mask_of(unsigned length) {
  return length == 0 ? 0 : ~Ipv4{0} << (32U - length);
}

bool is_mask(Ipv4 mask) {
  return mask != 0 && (~mask & (~mask + 1)) == 0;
}

bool is_host(Ipv4 address) {
  const std::uint32_t first = address >> 24U;
  return first != 0 && first != 127 && first < 224;
}

/// The first hop that classless routes (RFC 3442) give to the metadata service; 0 when they do
/// not lead there, or it is on the link.
Ipv4 gateway_of_routes(std::string_view bytes) {
  Ipv4 gateway = 0;
  unsigned best = 0;
  while (!bytes.empty()) {
    const unsigned length = number_at(bytes, 0, 1);
    const std::size_t octets = (length + 7) / 8;
    if (length > 32 || bytes.size() < 1 + octets + 4) {
      return 0;
    }
    const Ipv4 network = octets == 0 ? 0 : number_at(bytes, 1, octets) << (8 * (4 - octets));
    if (((network ^ kMetadataAddress) & mask_of(length)) == 0 && length >= best) {
      gateway = number_at(bytes, 1 + octets, 4);
      best = length;
    }
    bytes.remove_prefix(1 + octets + 4);
  }
  return is_host(gateway) ? gateway : 0;
}

std::optional<DhcpAnswer::Kind> kind_of(std::string_view type, const DhcpQuestion& question) {
  const std::uint32_t number = type.size() == 1 ? number_at(type, 0, 1) : 0;
  const bool is_first = question.server == 0;
  if (number == kOffer && is_first) {
    return DhcpAnswer::Kind::offer;
  }
  if (number == kAcknowledge && !is_first) {
    return DhcpAnswer::Kind::acknowledged;
  }
  if (number == kRefuse && !is_first) {
    return DhcpAnswer::Kind::refused;
  }
  return std::nullopt;
}

}  // namespace

std::string dhcp_packet(const DhcpQuestion& question) {
  const std::string data = message(question);
  const auto length = static_cast<std::uint32_t>(kUdpHeader + data.size());
  std::string udp;
  put(udp, 68, 2);
  put(udp, 67, 2);
  put(udp, length, 2);
  put(udp, 0, 2);
  udp += data;
  std::string packet("\x45\x10", 2);
  put(packet, kIpHeader + length, 2);
  put(packet, 0, 4);
  packet += std::string("\x40\x11", 2);  // 64 hops, UDP
  put(packet, 0, 2);
  put(packet, 0, 4);
  put(packet, 0xFFFFFFFF, 4);
  std::string sum;
  put(sum, checksum(packet), 2);
  packet.replace(10, 2, sum);
  std::string pseudo = packet.substr(12, 8) + std::string("\0\x11", 2);
  put(pseudo, length, 2);
  sum.clear();
  put(sum, checksum(pseudo + udp), 2);
  udp.replace(6, 2, sum);
  return packet + udp;
}

std::optional<DhcpAnswer> read_dhcp_answer(std::string_view packet, const DhcpQuestion& question) {
  const std::string_view bytes = message_of(packet);
  const std::string mac(question.mac.begin(), question.mac.end());
  if (bytes.size() < kFixed + kCookie.size() || !bytes.starts_with("\x02\x01\x06") ||
      number_at(bytes, 4, 4) != question.transaction || bytes.substr(28, 6) != mac ||
      bytes.substr(kFixed, 4) != kCookie) {
    return std::nullopt;
  }
  const auto options = options_of(bytes.substr(kFixed + 4));
  const auto text = [&options](std::uint8_t option) {
    const auto found = options.find(option);
    return found == options.end() ? std::string_view() : found->second;
  };
  const auto address = [&text](std::uint8_t option) {
    return text(option).size() >= 4 ? number_at(text(option), 0, 4) : 0;
  };
  const auto kind = kind_of(text(kMessageType), question);
  DhcpAnswer answer{.address = number_at(bytes, 16, 4), .server = address(kServer)};
  // A server that did not make the offer has no say.
  if (!kind || answer.server == 0 || (question.server != 0 && answer.server != question.server)) {
    return std::nullopt;
  }
  answer.kind = *kind;
  if (answer.kind == DhcpAnswer::Kind::refused) {
    return answer;
  }
  if (!text(kSubnetMask).empty()) {
    answer.mask = address(kSubnetMask);
  }
  if (!is_host(answer.address) || !is_mask(answer.mask)) {
    return std::nullopt;
  }
  const bool has_routes = !text(kRoutes).empty();
  const Ipv4 router = address(kRouter);
  answer.gateway = has_routes ? gateway_of_routes(text(kRoutes)) : (is_host(router) ? router : 0);
  return answer;
}

}  // namespace goldmill::agent
