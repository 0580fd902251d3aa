// SPDX-License-Identifier: GPL-3.0-or-later
// The network of one machine: a tap device in a network namespace that nothing else reaches, and a
// port scan from there.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include <goldmill/base/result.hpp>

namespace goldmill::prove {

constexpr const char* kHostAddress = "198.18.0.1";  // RFC 2544: never routed

/// Gives the device its address and sets it and the loopback device up.
Result<void> configure_network(const std::string& name);

struct Scan {
  std::set<std::uint16_t> open;
  std::uint64_t lost = 0;  ///< packets that the device dropped: above 0 the scan is not complete
};

/// Tries to connect to each of the 65535 TCP ports; about 20 s where nothing answers.
Result<Scan> scan_tcp(const std::string& address, const std::string& device);

/// True when a datagram to the port comes back with anything but "port unreachable" in a second:
/// UDP cannot say more.
bool may_answer_udp(const std::string& address, std::uint16_t port);

}  // namespace goldmill::prove
