// SPDX-License-Identifier: GPL-3.0-or-later
// A DHCP server (dnsmasq) for a network of this program's own.
#pragma once

#include <filesystem>
#include <string>

#include <goldmill/base/result.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::machine {

struct DhcpServer {
  std::string device;
  std::string range;  ///< "FIRST,LAST,NETMASK"
  /// Where it is not "", those with a lease have names in it, and the network has no way out.
  /// Otherwise the server gives itself as the way out, and no names.
  std::string domain = {};
  std::filesystem::path directory;  ///< gets `leases` and dnsmasq.log
};

/// In this network namespace; ends with its owner. Errors: not_found (no dnsmasq).
Result<system::Child> start_dhcp(const DhcpServer& server);
/// The address that was given to the MAC address, or "".
std::string leased_address(const std::filesystem::path& directory, const std::string& mac);

}  // namespace goldmill::machine
