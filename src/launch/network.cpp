// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <goldmill/launch/launch.hpp>

#include "lan_worker.hpp"

namespace goldmill::launch {

namespace {
using Kind = Network::Kind;

struct Form {
  std::string_view prefix;
  Kind kind;
};
constexpr std::array kForms = {
    Form{"bridge=", Kind::bridge}, Form{"network=", Kind::network}, Form{"netns=", Kind::netns}};

/// It becomes a directory's.
bool is_plain(std::string_view name) {
  return name.front() != '.' && name.size() <= 64 &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
             std::string_view::npos;
}
}  // namespace

Result<Network> Network::parse(const std::string& text) {
  if (text == "user") {
    return Network{};
  }
  if (text == "netns") {
    return Network{Kind::netns, ""};
  }
  for (const Form& form : kForms) {
    if (!text.starts_with(form.prefix) || text.size() == form.prefix.size()) {
      continue;
    }
    Network network{form.kind, text.substr(form.prefix.size())};
    if (network.kind == Kind::netns && !is_plain(network.name)) {
      return Error{ErrorKind::invalid_input,
                   "a network cannot be named '" + network.name + "'",
                   "letters, digits, '-', '_' and '.' make a name, 64 at most"};
    }
    return network;
  }
  return Error{ErrorKind::invalid_input,
               "there is no network '" + text + "'",
               "give user, netns, netns=NAME or bridge=NAME, or, with libvirt, network=NAME"};
}

namespace {
bool is_own(const std::string& address) {
  ifaddrs* list = nullptr;
  in_addr wanted{};
  if (::inet_pton(AF_INET, address.c_str(), &wanted) != 1 || ::getifaddrs(&list) != 0) {
    return false;
  }
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owned(list, &::freeifaddrs);
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr != nullptr && one->ifa_addr->sa_family == AF_INET) {
      sockaddr_in own{};
      std::memcpy(&own, one->ifa_addr, sizeof own);
      if (own.sin_addr.s_addr == wanted.s_addr) {
        return true;
      }
    }
  }
  return false;
}
}  // namespace

std::string Network::objection_to(const std::string& address) const {
  if (kind == Kind::netns) {
    const bool possible =
        address.empty() || (address.starts_with(kLanPrefix) && address != kLanAddress);
    return possible ? "" : address + " is not one of its network";
  }
  return is_own(address) ? address + " is this machine's own" : "";
}

std::string Network::text() const {
  for (const Form& form : kForms) {
    if (form.kind == kind) {
      return std::string(form.prefix) + name;
    }
  }
  return "user";
}

}  // namespace goldmill::launch
