// SPDX-License-Identifier: GPL-3.0-or-later
// Link: one network interface, in use for the time of a question and then as it was before, so
// that the system's own network service starts from nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>

#include "dhcp.hpp"
#include "files.hpp"
#include "identity.hpp"

namespace goldmill::agent {

/// The machine's Ethernet interfaces, in the order in which the kernel found them; at most 8.
std::vector<std::string> ethernet_links();

/// The IPv4 address of the first Ethernet interface that has one: "192.0.2.10", or "".
std::string link_address();

/// Gives an interface this hardware address, also while it is up.
Result<void> set_link_address(const std::string& link, const std::string& mac);

/// Gives an interface the first IPv4 address and the default route of these.
Result<void> set_link_network(const std::string& link, const Network& network);

class Link {
 public:
  explicit Link(std::string name) : name_(std::move(name)) {}
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  /// Takes back what start() did.
  ~Link();

  /// Brings the interface up and borrows an address by DHCP; the metadata service can be asked
  /// then. An interface that is up already is used as it is. Errors: what the system said,
  /// cancelled (by the deadline, in uptime_ms()).
  Result<void> start(std::uint64_t deadline_ms);

 private:
  Result<void> bring_up(std::uint64_t deadline_ms);
  Result<DhcpAnswer> borrow_address(std::uint64_t deadline_ms);
  Result<void> use_address(const DhcpAnswer& lease);
  Result<void> add_route(Ipv4 to, Ipv4 gateway);
  Result<short> flags() const;
  Result<void> set_flags(short flags) const;
  Result<void> set_address(unsigned long request, Ipv4 address) const;

  std::string name_;
  Descriptor control_;
  bool is_ours_ = false;
};

}  // namespace goldmill::agent
