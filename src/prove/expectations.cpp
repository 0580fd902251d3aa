// SPDX-License-Identifier: GPL-3.0-or-later
#include "expectations.hpp"

#include <charconv>

namespace goldmill::prove {

namespace {
std::vector<std::string> keys_of_documents(const recipe::Recipe& recipe, const std::string& name) {
  std::vector<std::string> keys;
  for (const recipe::ProvisionStep& step : recipe.provision) {
    const auto* cloud = std::get_if<recipe::CloudConfigStep>(&step.action);
    const Json* users = cloud == nullptr ? nullptr : find_value(cloud->config, "users");
    for (const Json& user : users == nullptr ? Json::array() : *users) {
      if (find_string(user, "name") == name) {
        const auto more = find_strings(user, "keys");
        keys.insert(keys.end(), more.begin(), more.end());
      }
    }
  }
  return keys;
}

std::set<std::uint16_t> ports_at(const Json& json, std::string_view key) {
  std::set<std::uint16_t> ports;
  if (const Json* list = find_value(json, key)) {
    for (const Json& port : *list) {
      ports.insert(port.get<std::uint16_t>());
    }
  }
  return ports;
}
}  // namespace

std::optional<Port> port_of(const std::string& text) {
  const std::size_t slash = text.find('/');
  const std::string name = text.substr(0, slash);
  Port port;
  port.udp = slash != std::string::npos && text.substr(slash) == "/udp";
  if (name == "ssh") {
    port.number = 22;
  } else if (name == "http") {
    port.number = 80;
  } else if (name == "https") {
    port.number = 443;
  } else {
    const auto end = std::from_chars(name.data(), name.data() + name.size(), port.number);
    if (end.ec != std::errc() || end.ptr != name.data() + name.size()) {
      return std::nullopt;
    }
  }
  return port.number == 0 ? std::nullopt : std::optional(port);
}

Expectations expectations_of(const recipe::Recipe& recipe) {
  const recipe::Baseline& baseline = recipe.baseline;
  Expectations expected;
  std::vector<std::string> ports =
      baseline.firewall_inbound.value_or(std::vector<std::string>{"ssh"});
  ports.insert(ports.end(), recipe.promises.ports.begin(), recipe.promises.ports.end());
  for (const std::string& text : ports) {
    if (const auto port = port_of(text)) {
      (port->udp ? expected.udp : expected.tcp).insert(port->number);
    }
  }
  expected.timezone = baseline.timezone.value_or("");
  expected.locale = baseline.locale.value_or("");
  for (const recipe::User& user : baseline.users.value_or(std::vector<recipe::User>{})) {
    expected.users.push_back({user.name,
                              user.sudo,
                              user.ssh_keys,
                              !user.password_hash.empty(),
                              keys_of_documents(recipe, user.name)});
  }
  expected.commands = recipe.promises.commands;
  expected.services = recipe.promises.services;
  expected.root_locked = baseline.root.value_or("locked") == "locked";
  expected.ssh_passwords = baseline.ssh_passwords.value_or(false);
  expected.network = baseline.network.value_or("dhcp") != "none";
  return expected;
}

Json to_json(const Expectations& expectations) {
  Json users = Json::array();
  for (const ExpectedUser& user : expectations.users) {
    users.push_back({{"name", user.name},
                     {"sudo", user.sudo},
                     {"keys", user.keys},
                     {"password", user.password},
                     {"more_keys", user.more_keys}});
  }
  return {{"tcp", expectations.tcp},
          {"udp", expectations.udp},
          {"timezone", expectations.timezone},
          {"locale", expectations.locale},
          {"users", users},
          {"commands", expectations.commands},
          {"services", expectations.services},
          {"firewall", expectations.firewall},
          {"root_locked", expectations.root_locked},
          {"ssh_passwords", expectations.ssh_passwords},
          {"network", expectations.network}};
}

Expectations expectations_of(const Json& json) {
  Expectations expected;
  expected.tcp = ports_at(json, "tcp");
  expected.udp = ports_at(json, "udp");
  expected.timezone = find_string(json, "timezone").value_or("");
  expected.locale = find_string(json, "locale").value_or("");
  if (const Json* users = find_value(json, "users")) {
    for (const Json& user : *users) {
      expected.users.push_back({find_string(user, "name").value_or(""),
                                find_bool(user, "sudo").value_or(false),
                                find_strings(user, "keys"),
                                find_bool(user, "password").value_or(false),
                                find_strings(user, "more_keys")});
    }
  }
  expected.commands = find_strings(json, "commands");
  expected.services = find_strings(json, "services");
  expected.firewall = find_bool(json, "firewall").value_or(true);
  expected.root_locked = find_bool(json, "root_locked").value_or(true);
  expected.ssh_passwords = find_bool(json, "ssh_passwords").value_or(false);
  expected.network = find_bool(json, "network").value_or(true);
  return expected;
}

}  // namespace goldmill::prove
