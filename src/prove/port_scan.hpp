// SPDX-License-Identifier: GPL-3.0-or-later
// Port scan: which ports of a machine answer to somebody beside it.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include <goldmill/base/result.hpp>

namespace goldmill::prove {

struct PortScan {
  std::set<std::uint16_t> tcp;  ///< they accept a connection
  /// Anything came back: a datagram, or that nobody listens, which a firewall keeps from being
  /// said.
  std::set<std::uint16_t> udp;
  std::uint64_t lost = 0;  ///< packets that the device dropped: above 0 the scan is not complete
};

/// Tries all 65535 ports of both protocols; about 20 s where nothing answers.
Result<PortScan> scan_ports(const std::string& address, const std::string& device);

/// True when a datagram to the port comes back with anything but "port unreachable" in a second:
/// UDP cannot say more.
bool may_answer_udp(const std::string& address, std::uint16_t port);

}  // namespace goldmill::prove
