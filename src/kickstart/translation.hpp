// SPDX-License-Identifier: GPL-3.0-or-later
// Translation: a recipe that grows by one command after the other, and what was said of each.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <goldmill/kickstart/import.hpp>
#include <goldmill/kickstart/profile.hpp>

namespace goldmill::kickstart {

class Translation {
 public:
  /// `names`: see ImportRequest.
  explicit Translation(std::map<std::string, std::string> names) : names_(std::move(names)) {}

  void begin(const std::string& file) { file_ = file; }
  void command(const Command& command);
  void section(const Section& section);
  void not_applicable(const Command& command, std::string note);
  /// What can only be said when all is known. Called once.
  Import finish(const std::string& name, const std::string& os);

 private:
  using Verdict = ImportRow::Verdict;
  ImportRow row_of(const Command& command, Verdict verdict, std::string note) const;
  void say(const Command& command, Verdict verdict, std::string note = {});
  void translate(const Command& command);
  void translate(const Section& section);
  /// Which keys of the recipe have changed since `before`, for the rows from `first_row` on.
  Json state() const;
  void name_keys(const Json& before, std::size_t first_row);
  void mapped(const Command& command, std::string note = {});
  void changed(const Command& command, std::string note);

  // accounts.cpp
  void rootpw(const Command& command);
  void user(const Command& command);
  void group(const Command& command);
  void sshkey(const Command& command);
  Json& user_named(const std::string& name);
  /// What there is to say of the line's groups, or of its password.
  std::string give_groups(const Command& command, Json& user);
  static std::string give_password(const Command& command, Json& user);
  void finish_accounts();

  // system.cpp
  void timezone(const Command& command);
  void lang(const Command& command);
  void keyboard(const Command& command);
  void network(const Command& command);
  void firewall(const Command& command);
  void services(const Command& command);
  void bootloader(const Command& command);

  /// Storage lines are judged when all are known; until then each only has its row.
  void keep_for_storage(const Command& command);
  void finish_disk();

  // scripts.cpp
  void packages(const Section& section);
  void package(const Command& line, std::string_view entry);
  void package_group(const Command& line, const std::string& entry, bool removes);
  void want(const std::string& name, bool removes);
  void post(const Section& section);
  void shell(const std::string& script, bool network);

  std::map<std::string, std::string> names_;
  std::string file_;
  Json recipe_ = Json::object();
  Json baseline_ = Json::object();
  std::string first_device_;  ///< of the network lines
  std::vector<Json> users_;
  std::map<std::string, std::string> groups_;  ///< name -> gid, or ""
  std::vector<std::string> account_lines_;     ///< of a script that runs before others
  std::vector<Command> storage_lines_;
  std::vector<std::size_t> storage_rows_;  ///< of rows_, one for each of these lines
  std::vector<std::string> packages_;
  Json steps_ = Json::array();
  std::vector<ImportRow> rows_;
};

}  // namespace goldmill::kickstart
