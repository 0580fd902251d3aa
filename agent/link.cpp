// SPDX-License-Identifier: GPL-3.0-or-later
#include "link.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port.hpp"
#include "text.hpp"

namespace goldmill::agent {
namespace {

constexpr std::size_t kMostLinks = 8;
constexpr const char* kLinks = "/sys/class/net/";
constexpr std::uint64_t kRepeatMs = 1000;  // a lost packet is sent again after this
constexpr std::uint64_t kRequestLimitMs = 3000;

std::uint64_t number_in(const std::string& path) {
  const auto text = read_file(path, 64);
  return text ? parse_number(trimmed(text.value())).value_or(0) : 0;
}

/// Hardware, not a bridge or tunnel that a part of the guest made.
bool is_ethernet(const std::string& name) {
  struct stat status {};
  return stat((kLinks + name + "/device").c_str(), &status) == 0 &&
         number_in(kLinks + name + "/type") == ARPHRD_ETHER;
}

sockaddr as_sockaddr(Ipv4 address) {
  sockaddr_in internet{};
  internet.sin_family = AF_INET;
  internet.sin_addr.s_addr = htonl(address);
  sockaddr plain{};
  std::memcpy(&plain, &internet, sizeof(plain));
  return plain;
}

ifreq request_for(const std::string& name) {
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), std::min(name.size(), sizeof(request.ifr_name) - 1));
  return request;
}

/// Whole IPv4 packets of one interface. Not a UDP socket: while the interface has no address the
/// kernel's reverse path filter and the firewall would drop what is sent to it.
class PacketSocket {
 public:
  explicit PacketSocket(const std::string& name) {
    peer_.sll_family = AF_PACKET;
    peer_.sll_protocol = htons(ETH_P_IP);
    peer_.sll_ifindex = static_cast<int>(number_in(kLinks + name + "/ifindex"));
    peer_.sll_halen = ETH_ALEN;
    std::memset(peer_.sll_addr, 0xFF, ETH_ALEN);
    file_ =
        Descriptor(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_IP)));
    if (peer_.sll_ifindex == 0 ||
        bind(file_.get(), reinterpret_cast<const sockaddr*>(&peer_), sizeof(peer_)) != 0) {
      file_ = Descriptor();
    }
  }

  explicit operator bool() const { return static_cast<bool>(file_); }

  void broadcast(const std::string& packet) const {
    // One that is lost is sent again, whatever the reason.
    [[maybe_unused]] const ssize_t count = sendto(file_.get(),
                                                  packet.data(),
                                                  packet.size(),
                                                  MSG_NOSIGNAL,
                                                  reinterpret_cast<const sockaddr*>(&peer_),
                                                  sizeof(peer_));
  }

  /// The next packet; "" when none came within this time.
  std::string receive(std::uint64_t wait_ms) const {
    std::string bytes(1536, '\0');
    pollfd request{.fd = file_.get(), .events = POLLIN, .revents = 0};
    const ssize_t count = poll(&request, 1, static_cast<int>(wait_ms)) > 0
                              ? recv(file_.get(), bytes.data(), bytes.size(), 0)
                              : 0;
    bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return bytes;
  }

 private:
  sockaddr_ll peer_{};
  Descriptor file_;
};

/// Asks until there is an answer; nullopt when the deadline came first.
std::optional<DhcpAnswer> ask_dhcp(const PacketSocket& packets,
                                   const DhcpQuestion& question,
                                   std::uint64_t deadline_ms) {
  std::uint64_t next = 0;
  for (std::uint64_t now = uptime_ms(); now < deadline_ms; now = uptime_ms()) {
    if (now >= next) {
      packets.broadcast(dhcp_packet(question));
      next = now + kRepeatMs;
    }
    const auto answer =
        read_dhcp_answer(packets.receive(std::min(next, deadline_ms) - now), question);
    if (answer) {
      return answer;
    }
  }
  return std::nullopt;
}

Error no_time(const std::string& name, const char* what) {
  return Error{.kind = ErrorKind::cancelled, .message = name + ": " + what};
}

}  // namespace

std::vector<std::string> ethernet_links() {
  std::vector<std::string> names;
  for (std::string& name : names_in(kLinks)) {
    if (is_ethernet(name)) {
      names.push_back(std::move(name));
    }
  }
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return number_in(kLinks + a + "/ifindex") < number_in(kLinks + b + "/ifindex");
  });
  names.resize(std::min(names.size(), kMostLinks));
  return names;
}

std::string link_address() {
  const Descriptor control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (const std::string& name : ethernet_links()) {
    ifreq request = request_for(name);
    if (ioctl(control.get(), SIOCGIFADDR, &request) == 0) {
      sockaddr_in internet{};
      std::memcpy(&internet, &request.ifr_addr, sizeof(internet));
      char text[INET_ADDRSTRLEN] = "";
      inet_ntop(AF_INET, &internet.sin_addr, text, sizeof(text));
      return text;
    }
  }
  return "";
}

Result<void> set_link_address(const std::string& link, const std::string& mac) {
  const Descriptor control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = request_for(link);
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  for (std::size_t i = 0; i < ETH_ALEN; ++i) {
    const std::string_view digits = std::string_view(mac).substr(i * 3, 2);
    unsigned value = 0;
    for (const char digit : digits) {
      value = value * 16 + static_cast<unsigned>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    request.ifr_hwaddr.sa_data[i] = static_cast<char>(value);
  }
  if (ioctl(control.get(), SIOCSIFHWADDR, &request) != 0) {
    return system_error("setting the address of " + link, errno);
  }
  return {};
}

namespace {
sockaddr internet_address(const std::string& text) {
  in_addr parsed{};
  inet_pton(AF_INET, text.c_str(), &parsed);
  return as_sockaddr(ntohl(parsed.s_addr));
}

bool is_ipv4(const std::string& text) {
  return text.find(':') == std::string::npos;
}

/// "192.0.2.10/24" -> its netmask.
Ipv4 mask_of(const std::string& address) {
  const auto bits = parse_number(std::string_view(address).substr(address.find('/') + 1));
  return bits.value_or(0) == 0 ? 0 : 0xFFFFFFFFU << (32 - std::min<std::uint64_t>(*bits, 32));
}
}  // namespace

Result<void> set_link_network(const std::string& link, const Network& network) {
  const auto address = std::find_if(network.addresses.begin(), network.addresses.end(), is_ipv4);
  const auto gateway = std::find_if(network.gateways.begin(), network.gateways.end(), is_ipv4);
  if (address == network.addresses.end()) {
    return Error{.kind = ErrorKind::not_found, .message = "no IPv4 address"};
  }
  const Descriptor control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = request_for(link);
  request.ifr_addr = internet_address(address->substr(0, address->find('/')));
  bool failed = ioctl(control.get(), SIOCSIFADDR, &request) != 0;
  request.ifr_netmask = as_sockaddr(mask_of(*address));
  failed = failed || ioctl(control.get(), SIOCSIFNETMASK, &request) != 0;
  if (gateway != network.gateways.end()) {
    rtentry route{};
    route.rt_dst = as_sockaddr(0);
    route.rt_genmask = as_sockaddr(0);
    route.rt_gateway = internet_address(*gateway);
    route.rt_flags = RTF_UP | RTF_GATEWAY;
    failed = failed || (ioctl(control.get(), SIOCADDRT, &route) != 0 && errno != EEXIST);
  }
  return failed ? system_error("setting the network of " + link, errno) : Result<void>();
}

Link::~Link() {
  if (!is_ours_) {
    return;
  }
  // Its address goes first, its routes and IPv6 addresses with the interface.
  // Nobody is there to be told of a failure.
  static_cast<void>(set_address(SIOCSIFADDR, 0));
  if (const auto now = flags()) {
    static_cast<void>(set_flags(static_cast<short>(now.value() & ~IFF_UP)));
  }
}

Result<void> Link::start(std::uint64_t deadline_ms) {
  control_ = Descriptor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!control_) {
    return system_error("making a socket", errno);
  }
  if ((TRY(flags()) & IFF_UP) != 0) {
    return {};
  }
  TRY(bring_up(deadline_ms));
  return use_address(TRY(borrow_address(deadline_ms)));
}

Result<short> Link::flags() const {
  ifreq request = request_for(name_);
  if (ioctl(control_.get(), SIOCGIFFLAGS, &request) != 0) {
    return system_error(name_ + ": reading its flags", errno);
  }
  return request.ifr_flags;
}

Result<void> Link::set_flags(short flags) const {
  ifreq request = request_for(name_);
  request.ifr_flags = flags;
  if (ioctl(control_.get(), SIOCSIFFLAGS, &request) != 0) {
    return system_error(name_ + ": setting its flags", errno);
  }
  return {};
}

Result<void> Link::set_address(unsigned long request_code, Ipv4 address) const {
  ifreq request = request_for(name_);
  request.ifr_addr = as_sockaddr(address);
  if (ioctl(control_.get(), request_code, &request) != 0) {
    return system_error(name_ + ": setting its address", errno);
  }
  return {};
}

Result<void> Link::bring_up(std::uint64_t deadline_ms) {
  is_ours_ = true;
  TRY(set_flags(static_cast<short>(TRY(flags()) | IFF_UP)));
  while (uptime_ms() < deadline_ms) {
    if ((TRY(flags()) & IFF_RUNNING) != 0) {
      return {};
    }
    poll(nullptr, 0, 20);
  }
  return no_time(name_, "no cable");
}

Result<DhcpAnswer> Link::borrow_address(std::uint64_t deadline_ms) {
  const PacketSocket packets(name_);
  DhcpQuestion question;
  ifreq request = request_for(name_);
  if (!packets || ioctl(control_.get(), SIOCGIFHWADDR, &request) != 0) {
    return system_error(name_ + ": listening for DHCP", errno);
  }
  std::memcpy(question.mac.data(), request.ifr_hwaddr.sa_data, question.mac.size());
  while (uptime_ms() < deadline_ms) {
    question.address = 0;
    question.server = 0;
    if (getrandom(&question.transaction, sizeof(question.transaction), GRND_NONBLOCK) < 0) {
      question.transaction = static_cast<std::uint32_t>(uptime_ms());
    }
    const auto offer = ask_dhcp(packets, question, deadline_ms);
    if (offer) {
      question.address = offer->address;
      question.server = offer->server;
      const auto lease =
          ask_dhcp(packets, question, std::min(deadline_ms, uptime_ms() + kRequestLimitMs));
      if (lease && lease->kind == DhcpAnswer::Kind::acknowledged) {
        return *lease;
      }
      poll(nullptr, 0, static_cast<int>(kRepeatMs));  // refused: not as fast as it answers
    }
  }
  return no_time(name_, "no answer by DHCP");
}

Result<void> Link::use_address(const DhcpAnswer& lease) {
  TRY(set_address(SIOCSIFADDR, lease.address));
  TRY(set_address(SIOCSIFNETMASK, lease.mask));
  if (lease.gateway != 0) {
    // Some clouds lend an address without a network: then the gateway needs a route as well.
    TRY(add_route(lease.gateway, 0));
  }
  return add_route(kMetadataAddress, lease.gateway);
}

Result<void> Link::add_route(Ipv4 to, Ipv4 gateway) {
  rtentry route{};
  route.rt_dst = as_sockaddr(to);
  route.rt_gateway = as_sockaddr(gateway);
  route.rt_genmask = as_sockaddr(0xFFFFFFFF);
  route.rt_flags =
      static_cast<unsigned short>(RTF_UP | RTF_HOST | (gateway != 0 ? RTF_GATEWAY : 0));
  route.rt_dev = name_.data();
  if (ioctl(control_.get(), SIOCADDRT, &route) != 0 && errno != EEXIST) {
    return system_error(name_ + ": adding a route", errno);
  }
  return {};
}

}  // namespace goldmill::agent
