// SPDX-License-Identifier: GPL-3.0-or-later
#include "lan_worker.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <goldmill/machine/dhcp_server.hpp>
#include <goldmill/machine/tap.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/message.hpp>

namespace goldmill::launch {

using system::UniqueFd;

namespace {
constexpr const char* kNetmask = "255.255.0.0";
constexpr const char* kRange = "198.18.0.10,198.18.255.250,255.255.0.0";
constexpr const char* kDirectory = "/tmp";
/// From the start to the first connection.
constexpr std::chrono::seconds kFirst(20);
constexpr std::chrono::seconds kLookAfter(2);

Result<void> answer_tap(int connection) {
  if (auto tap = machine::open_tap_on(kLanBridge)) {
    return system::send_message(connection, 't', tap->file.get());
  }
  const UniqueFd network = TRY(system::open_file("/proc/thread-self/ns/net", O_RDONLY));
  return system::send_message(connection, 'n', network.get());
}

Result<void> answer_socket(int connection) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return system::send_message(connection, 's', socket.get());
}

/// The connections, until there is none.
class Members {
 public:
  explicit Members(int door) : door_(door) {}

  /// Waits for a moment and serves who asks. False when all have gone.
  bool serve() {
    std::vector<pollfd> waits = {{door_, POLLIN, 0}};
    for (const Member& member : members_) {
      // Its end is told without being asked for.
      waits.push_back({member.connection.get(), static_cast<short>(member.asks ? POLLIN : 0), 0});
    }
    const auto moment = static_cast<int>(kLookAfter / std::chrono::milliseconds(1));
    if (::poll(waits.data(), waits.size(), moment) > 0) {
      for (std::size_t i = members_.size(); i > 0; --i) {
        if ((waits[i].revents & POLLHUP) != 0) {
          members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(i - 1));
        } else if (waits[i].revents != 0) {
          members_[i - 1].asks = answer(members_[i - 1].connection.get());
        }
      }
      if (waits[0].revents != 0) {
        let_in();
      }
    }
    const bool early = !had_any_ && std::chrono::steady_clock::now() - begin_ < kFirst;
    return early || !members_.empty();
  }

 private:
  struct Member {
    UniqueFd connection;
    bool asks = true;  ///< it has not shut its side down
  };

  void let_in() {
    UniqueFd connection(::accept4(door_, nullptr, nullptr, SOCK_CLOEXEC));
    if (connection) {
      members_.push_back({std::move(connection)});
      had_any_ = true;
    }
  }

  static bool answer(int member) {
    const auto asked = system::receive_message(member, std::chrono::seconds(0));
    if (!asked) {
      return false;
    }
    return static_cast<bool>(asked->kind == 't' ? answer_tap(member) : answer_socket(member));
  }

  int door_;
  std::vector<Member> members_;
  bool had_any_ = false;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

Result<system::Child> start_names_and_addresses() {
  return machine::start_dhcp(
      {.device = kLanBridge, .range = kRange, .domain = "lan", .directory = kDirectory});
}

Result<Json> keep_lan(system::WorkerContext& context) {
  TRY(system::mount_private_places());
  TRY(machine::make_bridge(kLanBridge));
  TRY(machine::set_address(kLanBridge, kLanAddress, kNetmask));
  TRY(machine::set_up(kLanBridge));
  TRY(machine::set_up("lo"));
  system::Child server = TRY(start_names_and_addresses());
  context.send_event({{"up", true}});
  Members members(context.hand(0));
  while (members.serve()) {
    if (server.poll()) {
      server = TRY(start_names_and_addresses());
    }
  }
  return Json::object();
}
}  // namespace

system::WorkerEntry lan_worker() {
  return {kLanWorker, keep_lan};
}

}  // namespace goldmill::launch
