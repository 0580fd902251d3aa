// SPDX-License-Identifier: GPL-3.0-or-later
// Accounts of a profile: rootpw, user, group, sshkey.
#include <algorithm>

#include <goldmill/kickstart/password.hpp>
#include <goldmill/kickstart/recipe_words.hpp>
#include <goldmill/system/process.hpp>

#include "translation.hpp"

namespace goldmill::kickstart {

namespace {
/// One that Debian's groupadd takes; a recipe takes fewer.
bool is_group_name(std::string_view name) {
  return !name.empty() && name.size() <= 32 && name.front() != '-' && name.front() != '.' &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == name.npos;
}

/// "bash" is /bin/bash; "" when it cannot be a shell.
std::string shell_of(const std::string& given) {
  const std::string shell = given.starts_with('/') ? given : "/bin/" + given;
  const bool is_name = given.starts_with('/') || given.find('/') == std::string::npos;
  return given.empty() || !is_name || shell.find_first_of(": \t\n") != std::string::npos ? ""
                                                                                         : shell;
}

constexpr const char* kNoUser =
    "a recipe's users have names of lower-case letters, digits, '-' and '_'";
}  // namespace

/// A hash that begins with '!' or '*' opens no account; plain text may begin so.
void Translation::rootpw(const Command& command) {
  const std::string password = command.words.empty() ? "" : command.words.front();
  const bool crypted = command.has("iscrypted");
  const bool opens_nothing =
      password.empty() || (crypted && (password.front() == '*' || password.front() == '!'));
  if (command.has("lock") || opens_nothing) {
    baseline("root") = "locked";
    return password.empty() && !command.has("lock")
               ? changed(command, "root is locked: an empty password lets everybody in")
               : mapped(command);
  }
  const std::string hash = crypted ? password : hashed_password("root", password);
  if (!is_strong_hash(hash)) {
    baseline("root") = "locked";
    return changed(command,
                   "root is locked: a recipe takes no hash of that kind, which is too weak");
  }
  baseline("root") = hash;
  changed(command,
          std::string(crypted ? "" : "kept as a hash; ") +
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
  ask_for_account_step();
}

void Translation::ask_for_account_step() {
  account_place_ = account_place_.value_or(here_);
}

void Translation::user(const Command& command) {
  const std::string name = command.value("name");
  if (name == "root") {
    return not_applicable(command, "'root' is not a user to add: rootpw says its password");
  }
  if (!is_account_name(name)) {
    return not_applicable(command, kNoUser);
  }
  const std::size_t index = user_named(name);
  places_[entry_path("baseline.users", index)] = here_;
  Json& user = users_[index];
  std::string note = give_groups(command, user);
  add_note(note, give_password(command, user));
  if (command.has("shell")) {
    const std::string shell = shell_of(command.value("shell"));
    if (!shell.empty()) {
      user["shell"] = shell;
    }
    if (shell != command.value("shell")) {
      add_note(note,
               shell.empty() ? "the shell is /bin/bash: that is the name of none"
                             : "the shell " + shell);
    }
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

/// As Anaconda does, a step makes a group that comes with its number, "NAME(GID)", and one with a
/// name that a recipe does not take.
std::string Translation::give_groups(const Command& command, Json& user) {
  std::string note;
  for (const std::string& given : listed(command.value("groups"))) {
    const std::size_t paren = given.find('(');
    const std::string group = given.substr(0, paren);
    if (group == "wheel" || group == "sudo") {
      user["sudo"] = true;
      continue;
    }
    if (!is_group_name(group)) {
      add_note(note, "'" + given + "' is no name of a group");
      continue;
    }
    user["groups"].push_back(group);
    if (paren != std::string::npos || !is_account_name(group)) {
      const std::string gid =
          paren == std::string::npos ? "" : given.substr(paren + 1, given.find(')') - paren - 1);
      const bool is_number = gid.find_first_not_of("0123456789") == std::string::npos;
      groups_.emplace(group, is_number ? gid : "");
      ask_for_account_step();
      add_note(note, "a step makes the group " + group);
    }
  }
  return note;
}

std::string Translation::give_password(const Command& command, Json& user) {
  const std::string password = command.value("password");
  if (password.empty() || command.has("lock")) {
    return "";
  }
  const bool crypted = command.has("iscrypted");
  const std::string hash =
      crypted ? password : hashed_password(user["name"].get<std::string>(), password);
  if (!is_strong_hash(hash)) {
    return "the password is locked: its hash is of too weak a kind";
  }
  user["password"] = hash;
  return crypted ? "" : "the password is kept as a hash";
}

void Translation::group(const Command& command) {
  const std::string name = command.value("name");
  if (!is_group_name(name)) {
    return not_applicable(command, "Debian takes no group of that name");
  }
  ask_for_account_step();
  groups_[name] = command.value("gid");
  mapped(command);
}

void Translation::sshkey(const Command& command) {
  const std::string name = command.value("username");
  if (name == "root") {
    return not_applicable(command,
                          "a recipe has no key for root: give it to a user who may use sudo");
  }
  if (!is_account_name(name)) {
    return not_applicable(command, kNoUser);
  }
  const std::size_t index = user_named(name);
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
