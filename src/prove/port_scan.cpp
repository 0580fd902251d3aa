// SPDX-License-Identifier: GPL-3.0-or-later
#include "port_scan.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <deque>
#include <future>
#include <sstream>
#include <thread>
#include <unordered_map>

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <goldmill/system/file.hpp>

namespace goldmill::prove {

using system::UniqueFd;

namespace {
using Clock = std::chrono::steady_clock;
constexpr std::uint32_t kLastPort = 65535;
// The kernel repeats a connect's first packet after one second.
constexpr auto kAnswerTime = std::chrono::milliseconds(1500);

sockaddr_in internet_address(const std::string& text, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, text.c_str(), &address.sin_addr);
  return address;
}

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);  // the sockets API's own idiom
}
}  // namespace

namespace {
std::uint64_t dropped(const std::string& device) {
  const auto content = system::read_file("/proc/net/dev", 1_MiB);
  std::istringstream lines(content ? *content : "");
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || line.substr(0, colon).find(device) == std::string::npos) {
      continue;
    }
    std::istringstream fields(line.substr(colon + 1));
    std::uint64_t value = 0;
    for (int field = 0; field < 12; ++field) {  // the 12th: packets not sent
      fields >> value;
    }
    return value;
  }
  return 0;
}

/// Connects in flight.
class TcpScanner {
 public:
  explicit TcpScanner(std::string address) : address_(std::move(address)) {}

  Result<std::set<std::uint16_t>> run() {
    poll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    most_ = std::min<std::size_t>(6000, limit.rlim_cur - 64);
    std::uint32_t next = 1;
    while (next <= kLastPort || !started_.empty()) {
      for (int burst = 0; burst < 64 && next <= kLastPort && pending_.size() < most_; ++burst) {
        start(static_cast<std::uint16_t>(next++));
      }
      collect();
      expire();
    }
    return std::move(open_);
  }

 private:
  struct Attempt {
    UniqueFd socket;
    std::uint16_t port;
  };

  void start(std::uint16_t port) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) {
      return;
    }
    const linger at_once{1, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    const sockaddr_in address = internet_address(address_, port);
    if (::connect(socket.get(), generic(address), sizeof address) == 0) {
      open_.insert(port);
      return;
    }
    if (errno != EINPROGRESS) {
      return;
    }
    const int number = socket.get();
    epoll_event event{};
    event.events = EPOLLOUT;
    event.data.fd = number;
    ::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, number, &event);
    started_.emplace_back(Clock::now(), number, port);
    pending_[number] = Attempt{std::move(socket), port};
  }

  void collect() {
    std::array<epoll_event, 256> events{};
    const int count = ::epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()), 10);
    for (int i = 0; i < count; ++i) {
      const int number = events.at(static_cast<std::size_t>(i)).data.fd;
      const auto found = pending_.find(number);
      if (found == pending_.end()) {
        continue;
      }
      int failure = 0;
      socklen_t length = sizeof failure;
      ::getsockopt(number, SOL_SOCKET, SO_ERROR, &failure, &length);
      if (failure == 0) {
        open_.insert(found->second.port);
      }
      pending_.erase(found);
    }
  }

  void expire() {
    const auto oldest = Clock::now() - kAnswerTime;
    while (!started_.empty() && std::get<0>(started_.front()) < oldest) {
      const auto found = pending_.find(std::get<1>(started_.front()));
      // The number may belong to a later attempt already.
      if (found != pending_.end() && found->second.port == std::get<2>(started_.front())) {
        pending_.erase(found);
      }
      started_.pop_front();
    }
  }

  std::string address_;
  UniqueFd poll_;
  std::size_t most_ = 0;
  std::deque<std::tuple<Clock::time_point, int, std::uint16_t>> started_;
  std::unordered_map<int, Attempt> pending_;
  std::set<std::uint16_t> open_;
};

/// One socket for all ports: what comes back says from which.
class UdpScanner {
 public:
  explicit UdpScanner(std::string address) : address_(std::move(address)) {}

  Result<std::set<std::uint16_t>> run() {
    socket_ = UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int wanted = 1;
    if (!socket_ ||
        ::setsockopt(socket_.get(), IPPROTO_IP, IP_RECVERR, &wanted, sizeof wanted) != 0) {
      return system_error("cannot open a socket to scan UDP ports", errno);
    }
    for (std::uint32_t port = 1; port <= kLastPort; ++port) {
      send(static_cast<std::uint16_t>(port));
      if (port % 64 == 0) {  // not faster than an emulated guest reads
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        collect();
      }
    }
    for (const auto end = Clock::now() + kAnswerTime; Clock::now() < end;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      collect();
    }
    return std::move(answered_);
  }

 private:
  void send(std::uint16_t port) {
    const sockaddr_in target = internet_address(address_, port);
    // What became of an earlier datagram fails a later one.
    for (int attempt = 0; attempt < 100; ++attempt) {
      if (::sendto(socket_.get(), "", 1, 0, generic(target), sizeof target) == 1) {
        return;
      }
      if (errno == EAGAIN || errno == ENOBUFS) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      collect();
    }
  }

  void collect() {
    while (receive(MSG_ERRQUEUE) || receive(0)) {
    }
  }

  bool receive(int queue) {
    sockaddr_in from{};
    std::array<std::byte, 256> control{};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(socket_.get(), &message, queue | MSG_DONTWAIT) < 0) {
      return false;
    }
    if (queue == 0 || is_unreachable_port(message)) {
      answered_.insert(ntohs(from.sin_port));
    }
    return true;
  }

  static bool is_unreachable_port(msghdr& message) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(&message, part)) {
      if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) {
        const auto* why = reinterpret_cast<const sock_extended_err*>(CMSG_DATA(part));
        return why->ee_origin == SO_EE_ORIGIN_ICMP && why->ee_type == ICMP_DEST_UNREACH &&
               why->ee_code == ICMP_PORT_UNREACH;
      }
    }
    return false;
  }

  std::string address_;
  UniqueFd socket_;
  std::set<std::uint16_t> answered_;
};
}  // namespace

Result<PortScan> scan_ports(const std::string& address, const std::string& device) {
  const std::uint64_t before = dropped(device);
  auto udp = std::async(std::launch::async, [&address] { return UdpScanner(address).run(); });
  auto tcp = TcpScanner(address).run();
  PortScan scan;
  scan.udp = TRY(udp.get());
  scan.tcp = TRY(std::move(tcp));
  scan.lost = dropped(device) - before;
  return scan;
}

bool may_answer_udp(const std::string& address, std::uint16_t port) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_in target = internet_address(address, port);
  if (::connect(socket.get(), generic(target), sizeof target) != 0 ||
      ::send(socket.get(), "", 1, 0) != 1) {
    return false;
  }
  pollfd wait{socket.get(), POLLIN, 0};
  if (::poll(&wait, 1, 1000) <= 0) {
    return true;  // silence: open, or dropped on the way
  }
  char byte = 0;
  return ::recv(socket.get(), &byte, 1, 0) >= 0 || errno != ECONNREFUSED;
}

}  // namespace goldmill::prove
