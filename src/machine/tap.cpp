// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/machine/tap.hpp>

namespace goldmill::machine {

using system::UniqueFd;

namespace {
ifreq request_for(const std::string& device) {
  ifreq request{};
  std::strncpy(static_cast<char*>(request.ifr_name), device.c_str(), IFNAMSIZ - 1);
  return request;
}

Error may_not(const std::string& what, int number) {
  Error error = system_error(what, number);
  if (number == EPERM || number == EACCES) {
    error.kind = ErrorKind::unavailable;
    error.hint = "only root may do that: run goldmill as root, or use --network user";
  }
  return error;
}

Error no_tun(int number) {
  Error error = system_error("cannot open /dev/net/tun", number);
  error.kind = ErrorKind::unavailable;
  error.hint = "it must be there and writable for you: sudo chmod 666 /dev/net/tun";
  return error;
}
}  // namespace

Result<Tap> open_tap(const std::string& name, Offload offload) {
  UniqueFd tap(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!tap) {
    return no_tun(errno);
  }
  ifreq request = request_for(name);
  request.ifr_flags =
      static_cast<short>(IFF_TAP | IFF_NO_PI | (offload == Offload::yes ? IFF_VNET_HDR : 0));
  if (::ioctl(tap.get(), TUNSETIFF, &request) != 0) {
    return may_not("cannot make the tap device " + name, errno);
  }
  return Tap{std::move(tap), static_cast<const char*>(request.ifr_name)};
}

Result<void> set_up(const std::string& device) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = request_for(device);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) {
    return may_not("cannot set up the device " + device, errno);
  }
  return {};
}

Result<void> set_address(const std::string& device,
                         const std::string& address,
                         const std::string& netmask) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto set = [&](const std::string& text, unsigned long what) {
    ifreq request = request_for(device);
    sockaddr_in internet{};
    internet.sin_family = AF_INET;
    ::inet_pton(AF_INET, text.c_str(), &internet.sin_addr);
    std::memcpy(&request.ifr_addr, &internet, sizeof internet);
    return ::ioctl(socket.get(), what, &request) == 0;
  };
  if (!set(address, SIOCSIFADDR) || !set(netmask, SIOCSIFNETMASK)) {
    return may_not("cannot set the address of " + device, errno);
  }
  return {};
}

Result<void> make_bridge(const std::string& name) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (::ioctl(socket.get(), SIOCBRADDBR, name.c_str()) != 0) {
    return may_not("cannot make the bridge " + name, errno);
  }
  return {};
}

namespace {
bool is_bridge(int socket, const std::string& device) {
  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  ifreq request = request_for(device);
  request.ifr_data = reinterpret_cast<char*>(&driver);  // ioctl's own idiom
  return ::ioctl(socket, SIOCETHTOOL, &request) == 0 &&
         std::string_view(static_cast<const char*>(driver.driver)) == "bridge";
}

/// Of this network namespace. Not from /sys, which shows the one in which it was mounted.
std::vector<std::string> bridges(int socket) {
  const std::unique_ptr<struct if_nameindex, decltype(&::if_freenameindex)> all(
      ::if_nameindex(), &::if_freenameindex);
  std::vector<std::string> names;
  for (const struct if_nameindex* device = all.get(); device != nullptr && device->if_index != 0;
       ++device) {
    if (is_bridge(socket, device->if_name)) {
      names.emplace_back(device->if_name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}
}  // namespace

Result<Tap> open_tap_on(const std::string& bridge) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!is_bridge(socket.get(), bridge)) {
    const std::vector<std::string> known = bridges(socket.get());
    return Error{ErrorKind::invalid_input,
                 "there is no bridge '" + bridge + "' here",
                 known.empty() ? "make one: ip link add br0 type bridge; ip link set br0 up"
                               : did_you_mean(bridge, known)};
  }
  Tap tap = TRY(open_tap("gm-%d", Offload::no));
  ifreq request = request_for(bridge);
  request.ifr_ifindex = static_cast<int>(::if_nametoindex(tap.device.c_str()));
  if (::ioctl(socket.get(), SIOCBRADDIF, &request) != 0) {
    return may_not("cannot make " + tap.device + " a port of the bridge " + bridge, errno);
  }
  TRY(set_up(tap.device));
  return tap;
}

Result<Tap> open_tap_in(int network, const std::function<Result<Tap>()>& open) {
  Result<Tap> tap = no_tun(EACCES);  // a plain user does not come into the namespace
  std::thread([&tap, &open, network] {
    if (::setns(network, CLONE_NEWNET) == 0) {
      tap = open();
    }
  }).join();
  return tap;
}

}  // namespace goldmill::machine
