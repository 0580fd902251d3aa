// SPDX-License-Identifier: GPL-3.0-or-later
// Translation: a recipe that grows by one answer after the other, and what was said of each.
#pragma once

#include <map>
#include <set>
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
  const kickstart::Problems& problems() const { return problems_; }

 private:
  using Verdict = kickstart::ImportRow::Verdict;
  using Method = void (Translation::*)(const Answer&);
  static const std::map<std::string, Method>& methods();

  /// `key`: of the recipe, that the line said, where that is one value; "" for others.
  void say(const Answer& answer, Verdict verdict, std::string note, const std::string& key = {});
  void mapped(const Answer& answer, const std::string& key, std::string note = {});
  void changed(const Answer& answer, const std::string& key, std::string note);
  void not_applicable(const Answer& answer, std::string note);
  void debconf(const Answer& answer);
  void want(const std::string& name);
  /// Says that the line at hand said what stands at a path of the recipe.
  void place(const std::string& path);

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
  void place_user_detail(const std::string& what);
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
  std::set<std::string> wanted_;  ///< the same
  Json debconf_ = Json::array();
  std::map<std::pair<std::string, std::string>, std::size_t> debconf_indices_;
  Json steps_ = Json::array();
  std::vector<int> step_lines_;
  int account_line_ = 0;  ///< the first that asks for a user's number or full name
  int line_ = 0;          ///< the line at hand
  std::vector<kickstart::ImportRow> rows_;
  kickstart::Places places_;
  kickstart::Problems problems_;
};

}  // namespace goldmill::preseed
