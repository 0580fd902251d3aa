// SPDX-License-Identifier: GPL-3.0-or-later
// Accounts of a profile: rootpw, user, group, sshkey.
#include <algorithm>

#include <goldmill/kickstart/password.hpp>
#include <goldmill/kickstart/recipe_words.hpp>
#include <goldmill/system/process.hpp>

#include "translation.hpp"

namespace goldmill::kickstart {

void Translation::rootpw(const Command& command) {
  const std::string password = command.words.empty() ? "" : command.words.front();
  if (command.has("lock") || password.empty() || password == "*" || password.starts_with('!')) {
    baseline("root") = "locked";
    return mapped(command);
  }
  if (command.has("iscrypted") && !is_strong_hash(password)) {
    baseline("root") = "locked";
    return changed(command,
                   "root is locked: a recipe takes no hash of that kind, which is too weak");
  }
  baseline("root") = command.has("iscrypted") ? password : hashed_password("root", password);
  changed(command,
          std::string(command.has("iscrypted") ? "" : "kept as a hash; ") +
              "SSH lets nobody in with a password unless the recipe says so");
}

std::size_t Translation::user_named(const std::string& name) {
  const auto [known, is_new] = user_indices_.try_emplace(name, users_.size());
  if (is_new) {
    places_[entry_path("baseline.users", users_.size())] = here_;
    users_.push_back({{"name", name}});
  }
  return known->second;
}

void Translation::account_line(std::string line) {
  account_lines_.push_back(std::move(line));
  account_place_ = account_place_.value_or(here_);
}

void Translation::user(const Command& command) {
  const std::string name = command.value("name");
  const std::size_t index = user_named(name);
  places_[entry_path("baseline.users", index)] = here_;
  Json& user = users_[index];
  std::string note;
  for (const std::string& given : listed(command.value("groups"))) {
    const std::string group = given.substr(0, given.find('('));  // "NAME(GID)"
    if (group == "wheel" || group == "sudo") {
      user["sudo"] = true;
    } else {
      user["groups"].push_back(group);
    }
  }
  const std::string password = command.value("password");
  if (!password.empty() && !command.has("lock")) {
    const bool crypted = command.has("iscrypted");
    if (!crypted || is_strong_hash(password)) {
      user["password"] = crypted ? password : hashed_password(name, password);
    }
    note = !crypted                   ? "the password is kept as a hash"
           : is_strong_hash(password) ? ""
                                      : "the password is locked: its hash is of too weak a kind";
  }
  if (command.has("shell")) {
    user["shell"] = command.value("shell");
  }
  std::string options;
  for (const auto& [option, of_usermod] : {std::pair("uid", "--uid"),
                                           std::pair("gecos", "--comment"),
                                           std::pair("homedir", "--move-home --home")}) {
    if (command.has(option)) {
      options += std::string(" ") + of_usermod + " " + system::shell_quoted(command.value(option));
    }
  }
  if (!options.empty()) {
    account_line("usermod" + options + " " + system::shell_quoted(name));
  }
  if (command.has("gid")) {
    account_line("groupmod --gid " + system::shell_quoted(command.value("gid")) + " " +
                 system::shell_quoted(name));
  }
  note.empty() ? mapped(command) : changed(command, note);
}

void Translation::group(const Command& command) {
  groups_[command.value("name")] = command.value("gid");
  account_place_ = account_place_.value_or(here_);
  mapped(command);
}

void Translation::sshkey(const Command& command) {
  const std::size_t index = user_named(command.value("username"));
  Json& keys = users_[index]["ssh_keys"];
  places_[entry_path(entry_path("baseline.users", index) + ".ssh_keys", keys.size())] = here_;
  keys.push_back(command.words.front());
  mapped(command);
}

/// Groups that the profile makes are not there yet when the recipe's users are made.
void Translation::finish_accounts() {
  std::vector<std::string> lines;
  for (const auto& [name, gid] : groups_) {
    lines.push_back("groupadd --force" +
                    (gid.empty() ? "" : " --gid " + system::shell_quoted(gid)) + " " +
                    system::shell_quoted(name));
  }
  for (Json& user : users_) {
    Json kept = Json::array();
    for (const Json& group : user.value("groups", Json::array())) {
      if (groups_.contains(group.get<std::string>())) {
        lines.push_back("gpasswd --add " + system::shell_quoted(user["name"].get<std::string>()) +
                        " " + system::shell_quoted(group.get<std::string>()));
      } else {
        kept.push_back(group);
      }
    }
    user.erase("groups");
    if (!kept.empty()) {
      user["groups"] = std::move(kept);
    }
  }
  lines.insert(lines.end(), account_lines_.begin(), account_lines_.end());
  if (!lines.empty()) {
    std::string script;
    for (const std::string& line : lines) {
      script += line + "\n";
    }
    steps_.insert(steps_.begin(), Step{shell(script, false), account_place_.value_or(Place{})});
  }
  if (!users_.empty()) {
    baseline_["users"] = users_;
  }
}

}  // namespace goldmill::kickstart
