// SPDX-License-Identifier: GPL-3.0-or-later
// Translation: a recipe that grows by one answer after the other, and what was said of each.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <goldmill/kickstart/import.hpp>
#include <goldmill/kickstart/volumes.hpp>
#include <goldmill/preseed/preseed.hpp>

namespace goldmill::preseed {

class Translation {
 public:
  Translation(std::string file, std::string os) : file_(std::move(file)), os_(std::move(os)) {}

  void answer(const Answer& answer);
  /// What can only be said when all is known. Called once.
  kickstart::Import finish(const std::string& name);
  /// What no recipe can be made of.
  const std::vector<kickstart::Problem>& problems() const { return problems_; }

 private:
  using Verdict = kickstart::ImportRow::Verdict;
  using Method = void (Translation::*)(const Answer&);
  static const std::map<std::string, Method>& methods();

  void say(const Answer& answer, Verdict verdict, std::string note, std::string key = {});
  void mapped(const Answer& answer, std::string key, std::string note = {});
  void changed(const Answer& answer, std::string key, std::string note);
  void not_applicable(const Answer& answer, std::string note);
  void debconf(const Answer& answer);
  void want(const std::string& name);

  // system.cpp
  void timezone(const Answer& answer);
  void utc(const Answer& answer);
  void ntp(const Answer& answer);
  void locale(const Answer& answer);
  void keyboard(const Answer& answer);
  void host_name(const Answer& answer);
  void interface(const Answer& answer);
  void fixed_address(const Answer& answer);
  void proxy(const Answer& answer);
  void kernel_options(const Answer& answer);
  void include(const Answer& answer);
  void tasks(const Answer& answer);
  void recommends(const Answer& answer);
  void update_policy(const Answer& answer);
  void popularity(const Answer& answer);
  void late_command(const Answer& answer);

  // storage.cpp
  void method(const Answer& answer);
  void choose_recipe(const Answer& answer);
  void expert_recipe(const Answer& answer);
  void default_filesystem(const Answer& answer);

  // accounts.cpp
  void root_login(const Answer& answer);
  void root_password(const Answer& answer);
  void make_user(const Answer& answer);
  void user_detail(const Answer& answer);
  void again(const Answer& answer);
  void finish_accounts();

  std::string file_;
  std::string os_;
  Json recipe_ = Json::object();
  Json baseline_ = Json::object();
  Json user_ = Json::object();  ///< fullname, name, password, uid, groups as answered
  std::string root_;            ///< a hash, or ""
  bool root_login_ = true;
  bool makes_user_ = true;
  kickstart::Volumes volumes_;
  std::vector<std::string> packages_;
  Json debconf_ = Json::array();
  Json steps_ = Json::array();
  std::vector<kickstart::ImportRow> rows_;
  std::vector<kickstart::Problem> problems_;
};

}  // namespace goldmill::preseed
