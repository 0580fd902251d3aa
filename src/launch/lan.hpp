// SPDX-License-Identifier: GPL-3.0-or-later
// Lan: a network of goldmill's own. A bridge, a DHCP server and names in a network namespace that
// nothing else of this machine reaches; those plugged into it reach each other and nothing else.
//
// A process of goldmill's keeps it. Whoever uses it has a connection to that process: launchers,
// and each QEMU on it for as long as it runs. With the last connection it ends, however that one
// ended, and nothing of it is left.
//
// On a connection, by messages (goldmill/system/message.hpp): 't' asks for a tap device and gets
// 't' and it, or 'n' and the namespace, where only root may open one; 's' asks for a TCP socket in
// the network and gets 's' and it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::launch {

class Lan {
 public:
  /// The network of this name, started when nobody is on it. Errors: unavailable (no user
  /// namespaces, no dnsmasq).
  static Result<Lan> join(const std::filesystem::path& home, const std::string& name);
  /// The same when somebody is on it. Errors: unavailable.
  static Result<Lan> find(const std::filesystem::path& home, const std::string& name);
  /// Removes what its directory holds when nobody is on it.
  static void forget(const std::filesystem::path& home, const std::string& name);

  Result<system::UniqueFd> plug_in();
  /// Errors: unavailable.
  Result<system::UniqueFd> connect(const std::string& address, std::uint16_t port);
  /// Who holds this file keeps the network, and can ask nothing of its keeper: it is for a QEMU,
  /// which its guest may have taken over.
  int membership();

 private:
  explicit Lan(system::UniqueFd connection) : connection_(std::move(connection)) {}

  system::UniqueFd connection_;
};

}  // namespace goldmill::launch
