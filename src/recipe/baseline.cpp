// SPDX-License-Identifier: GPL-3.0-or-later
// Reads `baseline:`, with the users' public keys.
#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <sstream>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/recipe/public_key.hpp>
#include <goldmill/system/file.hpp>

#include "reader.hpp"
#include "schema.hpp"

namespace goldmill::recipe {

namespace {

Error not_a_key(const Source& source, const Node& node, const std::string& what) {
  return source.document.error(node,
                               what + " holds no SSH public key",
                               "a public key is one line: ssh-ed25519 AAAA... name; "
                               "ssh-keygen -t ed25519 makes one");
}

Result<std::vector<std::string>> keys_of_file(const Source& source,
                                              const Node& node,
                                              const std::string& name) {
  auto content = source.content_of(node, name);
  if (!content) {
    Error error = std::move(content).error();
    error.hint += std::string(error.hint.empty() ? "" : "; ") +
                  "'ssh-keygen -t ed25519' makes a pair of keys, the .pub file is the public one";
    return error;
  }
  if (is_private_key(*content)) {
    return source.document.error(node,
                                 as_quote(name) + " is a private key",
                                 "use the public one beside it: file:" + name + ".pub");
  }
  auto keys = find_public_keys(*content);
  return keys.empty() ? Result<std::vector<std::string>>(not_a_key(source, node, as_quote(name)))
                      : Result<std::vector<std::string>>(std::move(keys));
}

Result<std::vector<std::string>> read_keys(const Source& source, const Node& list) {
  std::vector<std::string> keys;
  for (const Node& item : list.items) {
    if (item.text.starts_with("file:")) {
      for (std::string& key : TRY(keys_of_file(source, item, item.text.substr(5)))) {
        keys.push_back(std::move(key));
      }
    } else if (is_public_key(item.text)) {
      keys.push_back(item.text);
    } else {
      return not_a_key(source, item, as_quote(item.text));
    }
  }
  return keys;
}

/// Of Debian's base-passwd: every image has them.
constexpr std::array kSystemAccounts = {"_apt",
                                        "backup",
                                        "bin",
                                        "daemon",
                                        "games",
                                        "gnats",
                                        "irc",
                                        "list",
                                        "lp",
                                        "mail",
                                        "man",
                                        "news",
                                        "nobody",
                                        "proxy",
                                        "sync",
                                        "sys",
                                        "uucp",
                                        "www-data"};

Result<User> read_user(const Source& source, const Node& node) {
  User user;
  user.position = source.document.position(node);
  read_text(node, "name", user.name);
  if (std::find(kSystemAccounts.begin(), kSystemAccounts.end(), user.name) !=
      kSystemAccounts.end()) {
    return source.document.error(*node.find("name"),
                                 as_quote(user.name) + " is an account of the system",
                                 "choose another name");
  }
  if (user.name == "root") {
    return source.document.error(*node.find("name"),
                                 "'root' is not a user to add",
                                 "'baseline.root' says whether root may log in");
  }
  read_boolean(node, "sudo", user.sudo);
  read_text(node, "password", user.password_hash);
  read_text(node, "shell", user.shell);
  if (user.shell.find(':') != std::string::npos || user.shell.find(' ') != std::string::npos) {
    return source.document.error(*node.find("shell"), as_quote(user.shell) + " is not a shell");
  }
  if (const Node* groups = node.find("groups")) {
    user.groups = texts_of(*groups);
  }
  if (const Node* keys = node.find("ssh_keys")) {
    user.ssh_keys = TRY(read_keys(source, *keys));
  }
  return user;
}

Result<std::vector<User>> read_users(const Source& source, const Node& list) {
  std::vector<User> users;
  std::map<std::string, const Node*> names;
  for (const Node& item : list.items) {
    users.push_back(TRY(read_user(source, item)));
    const auto [first, is_new] = names.emplace(users.back().name, &item);
    if (!is_new) {
      return source.document.error(item,
                                   "the user '" + users.back().name + "' is there twice",
                                   "keep one of them" + source.elsewhere(item, *first->second));
    }
  }
  return users;
}

constexpr const char* kZones = "/usr/share/zoneinfo";

/// The names that this machine's tzdata has, also of links: "Z NAME ..." and "L TARGET NAME" of
/// zic's input, else the third column of zone1970.tab. Empty where there is no tzdata.
std::vector<std::string> known_zones() {
  std::vector<std::string> zones;
  const auto read_lines = [&zones](const char* file, const auto& name_in) {
    const auto text = system::read_file(std::filesystem::path(kZones) / file, kRecipeLimit);
    std::istringstream lines(text ? *text : "");
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::array<std::string, 3> word;
      words >> word[0] >> word[1] >> word[2];
      if (std::string name = name_in(word); !name.empty()) {
        zones.push_back(std::move(name));
      }
    }
  };
  read_lines("tzdata.zi", [](const auto& word) {
    return word[0] == "Z" ? word[1] : word[0] == "L" ? word[2] : "";
  });
  if (zones.empty()) {
    read_lines("zone1970.tab",
               [](const auto& word) { return word[0].starts_with('#') ? "" : word[2]; });
  }
  return zones;
}

/// A zone that this machine does not know may be known to the guest, whose tzdata is another: only
/// what is a slip is refused.
Result<void> check_zone(const Document& document, const Node& node) {
  constexpr std::size_t kMostNear = 3;
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::path(kZones) / node.text, ignored)) {
    return {};
  }
  std::vector<std::string> near;
  for (const std::string& zone : known_zones()) {
    if (zone == node.text) {
      return {};
    }
    if (near.size() < kMostNear && is_slip_of(node.text, zone)) {
      near.push_back(zone);
    }
  }
  if (near.empty()) {
    return {};
  }
  return document.error(
      node, "there is no time zone " + as_quote(node.text), did_you_mean(node.text, near));
}

}  // namespace

Result<Baseline> read_baseline(const Source& source, const Node& node) {
  Baseline baseline;
  if (const Node* zone = node.find("timezone")) {
    TRY(check_zone(source.document, *zone));
    baseline.timezone = zone->text;
  }
  read_text(node, "locale", baseline.locale);
  read_text(node, "keyboard", baseline.keyboard);
  read_text(node, "network", baseline.network);
  read_text(node, "root", baseline.root);
  read_text(node, "security", baseline.security);
  if (const Node* firewall = node.find("firewall")) {
    if (const Node* inbound = firewall->find("inbound")) {
      baseline.firewall_inbound = texts_of(*inbound);
    }
  }
  if (const Node* ssh = node.find("ssh")) {
    if (const Node* passwords = ssh->find("passwords")) {
      baseline.ssh_passwords = passwords->text == "true";
    }
  }
  if (const Node* users = node.find("users")) {
    baseline.users = TRY(read_users(source, *users));
  }
  return baseline;
}

}  // namespace goldmill::recipe
