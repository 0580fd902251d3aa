// SPDX-License-Identifier: GPL-3.0-or-later
// Dhcp: the four messages that lend an IPv4 address for the time of a question. Bytes only;
// link.cpp sends them. What answers is hostile input. Sources: RFC 2131, RFC 2132, RFC 3442.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace goldmill::agent {

using Mac = std::array<std::uint8_t, 6>;
/// In the host's byte order; 0: none.
using Ipv4 = std::uint32_t;

constexpr Ipv4 kMetadataAddress = 0xA9FEA9FE;  // 169.254.169.254

struct DhcpQuestion {
  Mac mac = {};
  std::uint32_t transaction = 0;
  Ipv4 address = 0;  ///< what was offered, and
  Ipv4 server = 0;   ///< by whom; 0: nothing yet, so this is a DISCOVER
};

struct DhcpAnswer {
  enum class Kind : std::uint8_t { offer, acknowledged, refused };
  Kind kind = Kind::offer;
  Ipv4 address = 0;
  Ipv4 mask = 0xFFFFFFFF;
  Ipv4 server = 0;
  /// The way to the metadata service; 0: it is on the link itself.
  Ipv4 gateway = 0;
};

/// A whole IPv4 packet, to be sent to everybody on the link.
std::string dhcp_packet(const DhcpQuestion& question);
/// nullopt for any packet that is no answer to this question.
std::optional<DhcpAnswer> read_dhcp_answer(std::string_view packet, const DhcpQuestion& question);

}  // namespace goldmill::agent
