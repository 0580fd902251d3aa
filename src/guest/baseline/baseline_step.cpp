// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cstdlib>
#include <sstream>

#include <goldmill/guest/baseline_step.hpp>

#include "baseline.hpp"

namespace goldmill::guest {
namespace {

constexpr const char* kBaselineKind = "debian.baseline";
constexpr const char* kKeys = "/.ssh/authorized_keys";  // below a home
constexpr long kFirstOfPeople = 1000;                   // UID_MIN of Debian's login.defs

Json to_json(const recipe::User& user) {
  return {{"name", user.name},
          {"ssh_keys", user.ssh_keys},
          {"shell", user.shell},
          {"groups", user.groups},
          {"password", user.password_hash.empty() ? "*" : user.password_hash}};
}

const recipe::User* find_user(const std::vector<recipe::User>& users, const std::string& name) {
  const auto found = std::find_if(
      users.begin(), users.end(), [&](const recipe::User& user) { return user.name == name; });
  return found == users.end() ? nullptr : &*found;
}

/// Users whose account differs from the parent's, each with what of the parent's has to go: the
/// account is there with it, and what a list no longer says would stay.
Json changed_users(const BaselineInput& input) {
  const auto parents =
      input.parent == nullptr ? std::vector<recipe::User>() : users_of(input.parent->baseline);
  Json changed = Json::array();
  for (const recipe::User& user : users_of(input.merged.baseline)) {
    Json entry = to_json(user);
    const recipe::User* before = find_user(parents, user.name);
    if (before != nullptr && entry == to_json(*before)) {
      continue;
    }
    if (before != nullptr) {
      entry["parents_groups"] = before->groups;
      entry["keys_go"] = user.ssh_keys.empty() && !before->ssh_keys.empty();
    }
    changed.push_back(std::move(entry));
  }
  return changed;
}

/// Users of the parent that the variant's list no longer has.
std::vector<std::string> gone_users(const BaselineInput& input) {
  std::vector<std::string> gone;
  if (input.parent != nullptr) {
    const auto users = users_of(input.merged.baseline);
    for (const recipe::User& user : users_of(input.parent->baseline)) {
      if (find_user(users, user.name) == nullptr && user.name != "root") {
        gone.push_back(user.name);
      }
    }
  }
  return gone;
}

std::vector<std::string> units_of(const recipe::Baseline& baseline) {
  std::vector<std::string> units;
  if (has_network(baseline)) {
    units.insert(units.end(), {"systemd-networkd.service", "systemd-resolved.service"});
  }
  if (has_firewall(baseline)) {
    units.emplace_back("goldmill-firewall.service");
  }
  return units;
}

template <typename Value>
std::vector<Value> difference(const std::vector<Value>& all, const std::vector<Value>& known) {
  std::vector<Value> rest;
  for (const Value& value : all) {
    if (std::find(known.begin(), known.end(), value) == known.end()) {
      rest.push_back(value);
    }
  }
  return rest;
}

std::vector<std::string> paths_of(const std::vector<TreeFile>& files) {
  std::vector<std::string> paths;
  paths.reserve(files.size());
  for (const TreeFile& file : files) {
    paths.push_back(file.path);
  }
  return paths;
}

Result<std::vector<TreeFile>> files_with(const std::vector<TreeFile>& given,
                                         const recipe::Recipe& merged,
                                         const recipe::Os& os) {
  std::vector<TreeFile> files = TRY(baseline_files(merged, os));
  files.insert(files.end(), given.begin(), given.end());
  return files;
}

/// Runs the guest's own programs for what no file of ours can say.
class Accounts {
 public:
  explicit Accounts(plan::Sandbox& sandbox) : sandbox_(sandbox) {}

  Result<void> apply(const Json& user) {
    const std::string name = TRY(string_at(user, "name"));
    const bool exists = TRY(find_account(name));
    std::vector<std::string> argv = {exists ? "usermod" : "useradd"};
    if (!exists) {
      argv.insert(argv.end(), {"--create-home", "--user-group"});
    }
    argv.insert(argv.end(), {"--password", TRY(string_at(user, "password"))});
    if (name != "root") {
      argv.insert(argv.end(), {"--shell", TRY(string_at(user, "shell"))});
    }
    const std::string groups = joined(TRY(groups_of(user, name)));
    if (!groups.empty() || user.contains("parents_groups")) {
      argv.insert(argv.end(), {"--groups", groups});
    }
    argv.push_back(name);
    TRY(run(std::move(argv)));
    const std::string home = name == "root" ? "/root" : "/home/" + name;
    if (find_bool(user, "keys_go").value_or(false)) {
      return run({"rm", "--force", home + kKeys});
    }
    return write_keys(name, home, find_strings(user, "ssh_keys"));
  }

  Result<void> set_password(const std::string& name, const std::string& hash) {
    return run({"usermod", "--password", hash, name});
  }

  Result<void> run(std::vector<std::string> argv) {
    return sandbox_.run({.argv = std::move(argv), .environment = {"SYSTEMD_OFFLINE=1"}});
  }

 private:
  static std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) {
      text += (text.empty() ? "" : ",") + word;
    }
    return text;
  }

  /// Whether it is there. Errors: conflict, of one that packages made for a service: its home and
  /// shell are theirs.
  Result<bool> find_account(const std::string& name) {
    std::istringstream lines(TRY(sandbox_.read("/etc/passwd")));
    for (std::string line; std::getline(lines, line);) {  // NAME:PASSWORD:ID:...
      if (!line.starts_with(name + ":")) {
        continue;
      }
      const std::string id = line.substr(line.find(':', name.size() + 1) + 1);
      const long number = std::strtol(id.c_str(), nullptr, 10);
      if (number < kFirstOfPeople && number != 0) {
        return Error{ErrorKind::conflict,
                     "the user '" + name + "' is an account of the system, with number " +
                         std::to_string(number),
                     "choose another name under 'users'; a script can change what a package made"};
      }
      return true;
    }
    return false;
  }

  /// The recipe's, and those that packages and steps of the parent gave the user. What the parent's
  /// recipe said is the recipe's to take back.
  Result<std::vector<std::string>> groups_of(const Json& user, const std::string& name) {
    auto groups = find_strings(user, "groups");
    if (!user.contains("parents_groups")) {
      return groups;
    }
    auto named = find_strings(user, "parents_groups");
    named.insert(named.end(), groups.begin(), groups.end());
    std::istringstream lines(TRY(sandbox_.read("/etc/group")));
    for (std::string line; std::getline(lines, line);) {  // NAME:PASSWORD:ID:MEMBER,MEMBER
      std::string group = line.substr(0, line.find(':'));
      const std::string members = "," + line.substr(line.rfind(':') + 1) + ",";
      if (members.find("," + name + ",") != std::string::npos &&
          std::find(named.begin(), named.end(), group) == named.end()) {
        groups.push_back(std::move(group));
      }
    }
    return groups;
  }

  Result<void> write_keys(const std::string& name,
                          const std::string& home,
                          const std::vector<std::string>& keys) {
    if (keys.empty()) {
      return {};
    }
    std::string text;
    for (const std::string& key : keys) {
      text += key + "\n";
    }
    TRY(run({"install", "-d", "-m", "0700", "-o", name, "-g", name, home + "/.ssh"}));
    const std::string file = home + kKeys;
    TRY(place_files(sandbox_, {{file, std::move(text), 0600, ""}}));
    return run({"chown", "--no-dereference", name + ":" + name, file});
  }

  plan::Sandbox& sandbox_;
};

/// The locale's own directory instead of the archive, whose bytes depend on its history.
std::vector<std::string> localedef_command(const std::string& locale) {
  const std::size_t dot = locale.find('.');
  const std::string charset = dot == std::string::npos ? "UTF-8" : locale.substr(dot + 1);
  return {"localedef", "--no-archive", "-i", locale.substr(0, dot), "-f", charset, locale};
}

/// systemd and libc take a link that leads nowhere for UTC, without a word.
Result<void> check_zone(Accounts& accounts, const std::string& file) {
  if (accounts.run({"test", "-s", file})) {
    return {};
  }
  return Error{
      ErrorKind::invalid_input,
      "the guest knows no time zone '" + file.substr(file.find("zoneinfo/") + 9) + "'",
      "check 'timezone' of the recipe's baseline; names that were given up, as US/Eastern, "
      "may need the package tzdata-legacy"};
}

class BaselineStep : public plan::StepKind {
 public:
  std::string_view name() const override { return kBaselineKind; }
  int version() const override { return 1; }

  Result<Json> run(const plan::Step& step, plan::StepContext& context) override {
    const Json& options = step.options;
    const Json* files = find_value(options, "files");
    const Json* users = find_value(options, "users");
    if (files == nullptr || users == nullptr) {
      return Error{ErrorKind::internal, "the baseline step has no files or users"};
    }
    Accounts accounts(context.sandbox);
    const auto disabled = find_strings(options, "disable");
    if (!disabled.empty()) {
      TRY(accounts.run(unit_command("disable", disabled)));
    }
    const auto placed = TRY(tree_files_from(*files));
    TRY(place_files(context.sandbox, placed, find_strings(options, "removed")));
    for (const TreeFile& file : placed) {
      TRY(file.path == "/etc/localtime" ? check_zone(accounts, file.link) : Result<void>());
    }
    if (const auto root = find_string(options, "root")) {
      TRY(accounts.set_password("root", *root));
    }
    for (const std::string& name : find_strings(options, "gone")) {
      TRY(accounts.run({"userdel", "--remove", name}));
    }
    for (const Json& user : *users) {
      TRY(accounts.apply(user));
    }
    if (const auto locale = find_string(options, "locale")) {
      TRY(accounts.run(localedef_command(*locale)));
    }
    const auto enabled = find_strings(options, "enable");
    if (!enabled.empty()) {
      TRY(accounts.run(unit_command("enable", enabled)));
    }
    return Json::object();
  }

 private:
  static std::vector<std::string> unit_command(const char* verb,
                                               const std::vector<std::string>& units) {
    std::vector<std::string> argv = {"systemctl", "--quiet", verb};
    argv.insert(argv.end(), units.begin(), units.end());
    return argv;
  }
};

/// "*" matches no password; "locked" is what base-passwd does too.
std::string root_password(const recipe::Baseline& baseline) {
  const std::string root = baseline.root.value_or("locked");
  return root == "locked" ? "*" : root;
}

}  // namespace

Result<std::optional<plan::Step>> make_baseline_step(const BaselineInput& input) {
  const recipe::Baseline& baseline = input.merged.baseline;
  std::vector<TreeFile> files = TRY(files_with(input.given, input.merged, input.os));
  std::vector<TreeFile> parents;
  std::vector<std::string> parent_units;
  if (input.parent != nullptr) {
    parents = TRY(files_with(input.parent_given, *input.parent, input.os));
    parent_units = units_of(input.parent->baseline);
  }
  Json options = {
      {"files", to_json(difference(files, parents))},
      {"removed", difference(paths_of(parents), paths_of(files))},
      {"users", changed_users(input)},
      {"gone", gone_users(input)},
      {"enable", difference(units_of(baseline), parent_units)},
      {"disable", difference(parent_units, units_of(baseline))},
  };
  const bool is_empty =
      std::all_of(options.begin(), options.end(), [](const Json& list) { return list.empty(); });
  if (input.parent == nullptr || root_password(baseline) != root_password(input.parent->baseline)) {
    options["root"] = root_password(baseline);
  }
  if (needs_locale_package(baseline) &&
      (input.parent == nullptr || input.parent->baseline.locale != baseline.locale)) {
    options["locale"] = *baseline.locale;
  }
  if (is_empty && !options.contains("root") && !options.contains("locale")) {
    return std::optional<plan::Step>();
  }
  plan::Step step;
  step.name = "baseline";
  step.kind = kBaselineKind;
  step.options = std::move(options);
  return std::optional(std::move(step));
}

std::unique_ptr<plan::StepKind> baseline_step_kind() {
  return std::make_unique<BaselineStep>();
}

}  // namespace goldmill::guest
