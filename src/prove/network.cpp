// SPDX-License-Identifier: GPL-3.0-or-later
#include "network.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <deque>
#include <sstream>
#include <thread>
#include <unordered_map>

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <goldmill/machine/tap.hpp>

namespace goldmill::prove {

using system::UniqueFd;

namespace {
using Clock = std::chrono::steady_clock;

ifreq named(const std::string& name) {
  ifreq request{};
  std::strncpy(static_cast<char*>(request.ifr_name), name.c_str(), IFNAMSIZ - 1);
  return request;
}

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

/// Connects in flight, each with a second and a half: the kernel repeats its packet after one.
class Scanner {
 public:
  explicit Scanner(std::string address) : address_(std::move(address)) {}

  Result<std::set<std::uint16_t>> run() {
    poll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    most_ = std::min<std::size_t>(6000, limit.rlim_cur - 64);
    std::uint32_t next = 1;
    while (next <= 65535 || !started_.empty()) {
      for (int burst = 0; burst < 64 && next <= 65535 && pending_.size() < most_; ++burst) {
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
    const auto oldest = Clock::now() - std::chrono::milliseconds(1500);
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
}  // namespace

Result<Scan> scan_tcp(const std::string& address, const std::string& device) {
  const std::uint64_t before = dropped(device);
  Scan scan;
  scan.open = TRY(Scanner(address).run());
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
