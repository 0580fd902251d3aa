// SPDX-License-Identifier: GPL-3.0-or-later
// Translation: a recipe that grows by one command after the other, and what was said of each.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <goldmill/kickstart/import.hpp>
#include <goldmill/kickstart/profile.hpp>
#include <goldmill/kickstart/volumes.hpp>

namespace goldmill::kickstart {

class Translation {
 public:
  /// `names`: see ImportRequest.
  explicit Translation(std::map<std::string, std::string> names) : names_(std::move(names)) {}

  /// What it makes something of, line by line.
  static bool uses(const Section& section);

  void begin(const std::string& file) { file_ = file; }
  void command(const Command& command);
  void section(const Section& section);
  void not_applicable(const Command& command, std::string note);
  /// What can only be said when all is known. Called once.
  Import finish(const std::string& name, const std::string& os);

 private:
  using Verdict = ImportRow::Verdict;
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
  void finish_accounts();

  // system.cpp
  void timezone(const Command& command);
  void lang(const Command& command);
  void keyboard(const Command& command);
  void network(const Command& command);
  void firewall(const Command& command);
  void services(const Command& command);
  void bootloader(const Command& command);

  // storage.cpp
  void part(const Command& command);
  void logvol(const Command& command);
  void raid(const Command& command);
  void btrfs(const Command& command);
  void volume(const Command& command, const std::string& mount, std::string change);
  void finish_disk();

  // scripts.cpp
  void packages(const Section& section);
  void package(const Command& line, std::string_view entry);
  void want(const std::string& name, bool removes);
  void post(const Section& section);
  void shell(const std::string& script, bool network);

  std::map<std::string, std::string> names_;
  std::string file_;
  Json recipe_ = Json::object();
  Json baseline_ = Json::object();
  std::vector<Json> users_;
  std::map<std::string, std::string> groups_;  ///< name -> gid, or ""
  std::vector<std::string> account_lines_;     ///< of a script that runs before others
  Volumes volumes_;
  std::vector<std::string> packages_;
  Json steps_ = Json::array();
  std::vector<ImportRow> rows_;
};

}  // namespace goldmill::kickstart
