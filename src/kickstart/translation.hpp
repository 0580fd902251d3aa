// SPDX-License-Identifier: GPL-3.0-or-later
// Translation: a recipe that grows by one command after the other, and what was said of each.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/kickstart/import.hpp>
#include <goldmill/kickstart/profile.hpp>

namespace goldmill::kickstart {

class Translation {
 public:
  /// `names`: see ImportRequest.
  explicit Translation(std::map<std::string, std::string> names) : names_(std::move(names)) {}

  /// What it makes something of, line by line.
  static bool uses(const Section& section);

  void begin(const std::string& file) { here_.file = file; }
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
  /// A key of the recipe's baseline, which the line at hand says.
  Json& baseline(const std::string& key);
  void mapped(const Command& command, std::string note = {});
  void changed(const Command& command, std::string note);

  // accounts.cpp
  void rootpw(const Command& command);
  void user(const Command& command);
  void group(const Command& command);
  void sshkey(const Command& command);
  /// Its index among the users; a new one is from the line at hand.
  std::size_t user_named(const std::string& name);
  void account_line(std::string line);
  /// The step that runs before others comes from the first line that asks for something of it.
  void ask_for_account_step();
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
  void finish_packages();
  void post(const Section& section);

  /// A step of the recipe, and the line that asks for it.
  struct Step {
    Json json;
    Place place;
  };
  static Json shell(const std::string& script, bool network);
  void finish_steps();

  std::map<std::string, std::string> names_;
  Place here_;  ///< the line at hand
  Json recipe_ = Json::object();
  Json baseline_ = Json::object();
  std::string first_device_;  ///< of the network lines
  std::vector<Json> users_;
  std::map<std::string, std::size_t> user_indices_;
  std::map<std::string, std::string> groups_;  ///< name -> gid, or ""
  std::vector<std::string> account_lines_;     ///< of a script that runs before others
  std::optional<Place> account_place_;         ///< the first line that asks for something of it
  std::vector<Command> storage_lines_;
  std::vector<std::size_t> storage_rows_;  ///< of rows_, one for each of these lines
  /// By name; the number says in which order they are asked for.
  struct Wanted {
    std::size_t number = 0;
    bool removes = false;
    Place place;
  };
  std::map<std::string, Wanted> packages_;
  std::size_t wanted_ = 0;
  std::vector<Step> steps_;
  std::vector<ImportRow> rows_;
  Places places_;
};

}  // namespace goldmill::kickstart
