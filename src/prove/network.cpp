// SPDX-License-Identifier: GPL-3.0-or-later
#include "network.hpp"

#include <cstring>

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <goldmill/machine/tap.hpp>

namespace goldmill::prove {

using system::UniqueFd;

namespace {
ifreq named(const std::string& name) {
  ifreq request{};
  std::strncpy(static_cast<char*>(request.ifr_name), name.c_str(), IFNAMSIZ - 1);
  return request;
}
}  // namespace

Result<void> configure_network(const std::string& name) {
  TRY(machine::set_address(name, kHostAddress, "255.255.255.0"));
  // The scan sends faster than an emulated guest reads.
  ifreq queue = named(name);
  queue.ifr_qlen = 20000;
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ::ioctl(socket.get(), SIOCSIFTXQLEN, &queue);
  TRY(machine::set_up(name));
  return machine::set_up("lo");
}

}  // namespace goldmill::prove
