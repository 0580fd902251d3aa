// SPDX-License-Identifier: GPL-3.0-or-later
// Accounts of a preseed file: root and the one user that the installer makes.
#include <algorithm>

#include <goldmill/kickstart/password.hpp>
#include <goldmill/kickstart/recipe_words.hpp>
#include <goldmill/system/process.hpp>

#include "translation.hpp"

namespace goldmill::preseed {

namespace {

bool is_name(std::string_view text) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz_";
  return !text.empty() && text.size() <= 32 &&
         kLetters.find(text.front()) != std::string_view::npos &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789-") == std::string_view::npos;
}
}  // namespace

void Translation::root_login(const Answer& answer) {
  root_login_ = answer.value != "false";
  root_login_ ? mapped(answer, "")
              : mapped(answer, "baseline.root", "root is locked; the user gets sudo");
}

void Translation::root_password(const Answer& answer) {
  const bool crypted = answer.question.ends_with("-crypted");
  if (answer.value.empty() || answer.value == "!" || answer.value == "*") {
    root_.clear();
    return mapped(answer, "baseline.root", "root is locked");
  }
  if (crypted && !kickstart::is_strong_hash(answer.value)) {
    return changed(answer,
                   "baseline.root",
                   "root is locked: a recipe takes no hash of that kind, which is too weak");
  }
  root_ = crypted ? answer.value : kickstart::hashed_password("root", answer.value);
  changed(answer,
          "baseline.root",
          std::string(crypted ? "" : "kept as a hash; ") +
              "SSH lets nobody in with a password unless the recipe says so");
}

void Translation::again(const Answer& answer) {
  mapped(answer, "", "the same password once more");
}

void Translation::make_user(const Answer& answer) {
  makes_user_ = answer.value != "false";
  mapped(answer, "baseline.users");
}

void Translation::user_detail(const Answer& answer) {
  const std::string what = answer.question.substr(answer.question.find('/') + 1);
  if (what == "username" && !is_name(answer.value)) {
    return not_applicable(answer, "no user's name: lower-case letters, digits, '-' and '_'");
  }
  const bool crypted = what == "user-password-crypted";
  if (crypted && (answer.value == "!" || answer.value == "*")) {
    return mapped(answer, "baseline.users", "no password lets the user in");
  }
  if (crypted && !answer.value.empty() && !kickstart::is_strong_hash(answer.value)) {
    return changed(
        answer, "baseline.users", "the password is locked: its hash is of too weak a kind");
  }
  if (what == "user-uid" && (answer.value.find_first_not_of("0123456789") != std::string::npos ||
                             answer.value.size() > 5)) {
    return not_applicable(answer, "no user's number");
  }
  if (!answer.value.empty()) {
    user_[what] = answer.value;
    place_user_detail(what);
  }
  what == "user-password" ? changed(answer, "baseline.users", "the password is kept as a hash")
                          : mapped(answer, "baseline.users");
}

void Translation::place_user_detail(const std::string& what) {
  const std::string user = "baseline.users.0";
  if (what == "username") {
    place(user);
  } else if (what.starts_with("user-password")) {
    place(user + ".password");
  } else if (what == "user-default-groups") {
    place(user + ".groups");
  } else if (account_line_ == 0) {
    account_line_ = line_;
  }
}

void Translation::finish_accounts() {
  baseline_["root"] = root_login_ && !root_.empty() ? root_ : "locked";
  if (!makes_user_ || !user_.contains("username")) {
    return;
  }
  const std::string name = user_["username"];
  Json user = {{"name", name}};
  if (user_.contains("user-password-crypted")) {
    user["password"] = user_["user-password-crypted"];
  } else if (user_.contains("user-password")) {
    user["password"] = kickstart::hashed_password(name, user_["user-password"].get<std::string>());
  }
  // As the installer does where root cannot log in.
  bool sudo = !root_login_;
  for (const std::string& group :
       kickstart::listed(user_.value("user-default-groups", std::string()))) {
    if (group == "sudo") {
      sudo = true;
    } else if (is_name(group)) {
      user["groups"].push_back(group);
    }
  }
  if (sudo) {
    user["sudo"] = true;
  }
  std::string options;
  if (user_.contains("user-uid")) {
    options += " --uid " + user_["user-uid"].get<std::string>();
  }
  if (user_.contains("user-fullname")) {
    options += " --comment " + system::shell_quoted(user_["user-fullname"].get<std::string>());
  }
  if (!options.empty()) {
    const std::string script = "usermod" + options + " " + name + "\n";
    Json step = {{"shell", {{"script", kickstart::without_parameters(script)}}}};
    steps_.insert(steps_.begin(), std::move(step));
    step_lines_.insert(step_lines_.begin(), account_line_);
  }
  baseline_["users"] = Json::array({std::move(user)});
}

}  // namespace goldmill::preseed
