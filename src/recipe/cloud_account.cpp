// SPDX-License-Identifier: GPL-3.0-or-later
// Accounts of a cloud-config document: `users`, `groups`, `ssh_authorized_keys`.
#include <array>

#include <goldmill/kickstart/recipe_words.hpp>
#include <goldmill/recipe/public_key.hpp>

#include "cloud_node.hpp"
#include "schema.hpp"

namespace goldmill::recipe {

namespace {

const Shape kAccountName{"an account's name",
                         kickstart::kAccountPattern,
                         "lower-case letters, digits, '-' and '_', at most 32"};
const Shape kCryptHash{"a password hash",
                       "[!*]|\\$(y|gy|7|6|5|2[aby])\\$[./A-Za-z0-9$=,]{8,240}",
                       "make a hash with 'mkpasswd --method=yescrypt'"};
constexpr const char* kPlain = "everybody who reads the image would know it";
constexpr const char* kHashInstead = "write a hash as 'hashed_passwd'";

template <const char* Key>
Result<void> take_text(const CloudNode& value, Json& user) {
  const std::string text = TRY(value.text());
  if (text.find_first_of(":\n") != std::string::npos) {
    return value.error("'" + value.path + "' cannot hold ':' or a new line");
  }
  user[Key] = text;
  return {};
}

template <const char* Key>
Result<void> take_boolean(const CloudNode& value, Json& user) {
  user[Key] = TRY(value.boolean());
  return {};
}

Result<void> take_name(const CloudNode& value, Json& user) {
  user["name"] = TRY(value.text(kAccountName));
  return {};
}

Result<void> take_hash(const CloudNode& value, Json& user) {
  const std::string text = TRY(value.text());
  if (!matches(kCryptHash, text)) {  // not shown: it may be a password
    return value.error("'" + value.path + "' is not a password hash", kCryptHash.hint);
  }
  user["passwd"] = text;
  return {};
}

Result<void> take_groups(const CloudNode& value, Json& user) {
  Json groups = Json::array();
  if (value.node.kind == Node::Kind::map) {
    for (const Node& key : value.node.keys) {
      groups.push_back(TRY(value.item(key).text(kAccountName)));
    }
  } else {
    for (const std::string& name : TRY(value.texts(','))) {
      TRY(value.check(name, kAccountName));
      groups.push_back(name);
    }
  }
  user["groups"] = std::move(groups);
  return {};
}

Result<void> take_keys(const CloudNode& value, Json& user) {
  user["keys"] = TRY(read_cloud_keys(value));
  return {};
}

Result<void> take_sudo(const CloudNode& value, Json& user) {
  Json rules = Json::array();
  if (value.node.kind == Node::Kind::null ||
      (value.node.style == Node::Style::plain && value.node.text == "false")) {
    user["sudo"] = std::move(rules);
    return {};
  }
  for (const std::string& rule : TRY(value.texts())) {
    if (rule.find('\n') != std::string::npos) {
      return value.error("a rule of 'sudo' stands on one line");
    }
    rules.push_back(rule);
  }
  user["sudo"] = std::move(rules);
  return {};
}

Result<void> take_number(const CloudNode& value, Json& user) {
  static const Shape kNumber{"a number", "[0-9]{1,5}", "ids in an image go up to 65535"};
  const std::string text = TRY(value.text(kNumber));
  if (std::stoul(text) > 65535) {
    return value.error(as_quote(text) + " is above 65535", kNumber.hint);
  }
  user["uid"] = text;
  return {};
}

Result<void> take_nothing(const CloudNode& value, Json& /*user*/) {
  TRY(value.boolean());
  return {};
}

constexpr char kGecos[] = "gecos";
constexpr char kHome[] = "homedir";
constexpr char kPrimary[] = "primary_group";
constexpr char kShell[] = "shell";
constexpr char kExpires[] = "expiredate";
constexpr char kNoHome[] = "no_create_home";
constexpr char kNoGroup[] = "no_user_group";
constexpr char kSystem[] = "system";
constexpr char kLocked[] = "lock_passwd";

/// Source: cloud-init's schema-cloud-config-v1.json, users_groups.user.
constexpr std::array kUserKeys = {
    CloudKey<Json>{"name", take_name},
    CloudKey<Json>{"gecos", take_text<kGecos>},
    CloudKey<Json>{"homedir", take_text<kHome>},
    CloudKey<Json>{"primary_group", take_text<kPrimary>},
    CloudKey<Json>{"shell", take_text<kShell>},
    CloudKey<Json>{"expiredate", take_text<kExpires>},
    CloudKey<Json>{"no_create_home", take_boolean<kNoHome>},
    CloudKey<Json>{"no_user_group", take_boolean<kNoGroup>},
    CloudKey<Json>{"system", take_boolean<kSystem>},
    CloudKey<Json>{"lock_passwd", take_boolean<kLocked>},
    CloudKey<Json>{"lock-passwd", take_boolean<kLocked>},
    CloudKey<Json>{"no_log_init", take_nothing},
    CloudKey<Json>{"create_groups", take_nothing},
    CloudKey<Json>{"passwd", take_hash},
    CloudKey<Json>{"hashed_passwd", take_hash},
    CloudKey<Json>{"groups", take_groups},
    CloudKey<Json>{"sudo", take_sudo},
    CloudKey<Json>{"uid", take_number},
    CloudKey<Json>{"ssh_authorized_keys", take_keys},
    CloudKey<Json>{"ssh-authorized-keys", take_keys},
    CloudKey<Json>{"plain_text_passwd", nullptr, kPlain, kHashInstead},
    CloudKey<Json>{"inactive", nullptr, "it counts days from a date", "use 'expiredate'"},
    CloudKey<Json>{"doas",
                   nullptr,
                   "no family that goldmill builds has doas",
                   "use 'sudo', or write the file with 'write_files'"},
    CloudKey<Json>{"selinux_user", nullptr, "Debian's family has no SELinux users", "remove it"},
    CloudKey<Json>{"snapuser", nullptr, "it logs in to a store", "remove it"},
    CloudKey<Json>{"ssh_import_id",
                   nullptr,
                   "a server elsewhere would decide who may log in",
                   "write the keys under 'ssh_authorized_keys'"},
    CloudKey<Json>{"ssh_redirect_user",
                   nullptr,
                   "an image has no default user to send people to",
                   "remove it"},
};

Result<Json> read_cloud_user(const CloudNode& item) {
  Json user = Json::object();
  if (item.node.kind == Node::Kind::scalar) {
    TRY(take_name(item, user));
  } else {
    TRY(read_by_table(item, kUserKeys, user));
  }
  if (!user.contains("name")) {
    return item.error("a user has no 'name'");
  }
  if (user["name"] == "default") {
    return item.error("'default' is the user of a cloud's own image, and no one's here",
                      "write the user's name, and what belongs to it");
  }
  return user;
}

Result<void> add_group(const CloudNode& where,
                       const std::string& name,
                       std::vector<std::string> members,
                       Json& config) {
  TRY(where.check(name, kAccountName));
  config["groups"].push_back({{"name", name}, {"members", std::move(members)}});
  return {};
}

}  // namespace

Result<Json> read_cloud_keys(const CloudNode& list) {
  Json keys = Json::array();
  TRY(list.each([&keys](const CloudNode& item) -> Result<void> {
    const std::string line = TRY(item.text());
    if (!is_public_key(line)) {
      return item.error(as_quote(line) + " is not an SSH public key",
                        "write the whole line of a .pub file");
    }
    keys.push_back(line);
    return {};
  }));
  return keys;
}

Result<void> read_cloud_users(const CloudNode& list, Json& config) {
  config["users"] = Json::array();
  if (list.node.kind == Node::Kind::scalar) {
    for (const std::string& name : TRY(list.texts(','))) {
      if (!matches(kAccountName, name) || name == "default") {
        return list.error(as_quote(name) + " is not " + kAccountName.what, kAccountName.hint);
      }
      config["users"].push_back({{"name", name}});
    }
    return {};
  }
  return list.each([&config](const CloudNode& item) -> Result<void> {
    config["users"].push_back(TRY(read_cloud_user(item)));
    return {};
  });
}

Result<void> read_cloud_groups(const CloudNode& groups, Json& config) {
  config["groups"] = Json::array();
  const auto with_members = [&config](const std::string& name,
                                      const CloudNode& members) -> Result<void> {
    return add_group(members, name, TRY(members.texts(',')), config);
  };
  if (groups.node.kind == Node::Kind::map) {
    return groups.each_key(with_members);
  }
  if (groups.node.kind == Node::Kind::scalar) {
    for (const std::string& name : TRY(groups.texts(','))) {
      TRY(add_group(groups, name, {}, config));
    }
    return {};
  }
  return groups.each([&](const CloudNode& item) -> Result<void> {
    return item.node.kind == Node::Kind::map ? item.each_key(with_members)
                                             : add_group(item, TRY(item.text()), {}, config);
  });
}

}  // namespace goldmill::recipe
