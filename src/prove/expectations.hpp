// SPDX-License-Identifier: GPL-3.0-or-later
// Expectations: what a merged recipe says about a running machine, as the data that the network
// worker gets.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::prove {

struct ExpectedUser {
  std::string name;
  bool sudo = false;
  std::vector<std::string> keys = {};
  bool password = false;
  /// Of the recipe's cloud-config documents: they may be there, too.
  std::vector<std::string> more_keys = {};
};

struct Expectations {
  std::set<std::uint16_t> tcp;
  std::set<std::uint16_t> udp;
  std::string timezone;
  std::string locale;
  std::vector<ExpectedUser> users;
  std::vector<std::string> commands;
  std::vector<std::string> services;
  bool firewall = true;
  bool root_locked = true;
  bool ssh_passwords = false;
  bool network = true;  ///< an address by DHCP
};

/// Number of a port as recipes write it: "ssh", "http", "8080/tcp", "53/udp".
struct Port {
  std::uint16_t number = 0;
  bool udp = false;
};
std::optional<Port> port_of(const std::string& text);

/// Absent parts of the baseline take the documented defaults (SSH only, root locked, no passwords).
Expectations expectations_of(const recipe::Recipe& recipe);

Json to_json(const Expectations& expectations);
Expectations expectations_of(const Json& json);

}  // namespace goldmill::prove
