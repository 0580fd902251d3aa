// SPDX-License-Identifier: GPL-3.0-or-later
#include "ansible_inputs.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <goldmill/system/file.hpp>

namespace goldmill::provision {

namespace fs = std::filesystem;

namespace {

/// Source: Ansible's documentation, "Playbook tips" and "Adding modules and plugins locally".
constexpr std::array kBeside = {"action_plugins",
                                "collections",
                                "defaults",
                                "files",
                                "filter_plugins",
                                "group_vars",
                                "handlers",
                                "host_vars",
                                "library",
                                "lookup_plugins",
                                "module_utils",
                                "playbooks",
                                "roles",
                                "tasks",
                                "templates",
                                "test_plugins",
                                "vars",
                                "vars_plugins",
                                "callback_plugins"};
constexpr std::array kInRoles = {"tasks", "handlers", "defaults", "vars", "meta", "templates"};
constexpr std::string_view kPathLetters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";

bool is_a_directory(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_playbook(const fs::path& path) {
  return path.extension() == ".yml" || path.extension() == ".yaml";
}

/// What a text could mean a file by.
std::set<std::string> words_of(const std::string& text) {
  std::set<std::string> words;
  std::size_t at = 0;
  while ((at = text.find_first_of(kPathLetters, at)) != std::string::npos) {
    const std::size_t end = std::min(text.find_first_not_of(kPathLetters, at), text.size());
    words.insert(text.substr(at, end - at));
    at = end;
  }
  return words;
}

class Beside {
 public:
  explicit Beside(const recipe::AnsibleStep& step) : step_(step) {
    top_ = step.playbook.parent_path();
  }

  Result<std::vector<ToolInput>> collect() {
    const std::string file = step_.playbook.filename();
    inputs_.push_back({"playbook", step_.playbook, "playbook/" + file, step_.title});
    seen_.insert(file);
    for (const char* name : kBeside) {
      if (is_a_directory(top_ / name)) {
        add(name);
      }
    }
    TRY(add_named(step_.playbook));
    return std::move(inputs_);
  }

 private:
  void add(const std::string& name) {
    const fs::path shown = fs::path(step_.title).parent_path() / name;
    inputs_.push_back({"beside " + name, top_ / name, "playbook/" + name, shown.string()});
    seen_.insert(name);
  }

  /// Files beside the playbook that it names, and that those name.
  Result<void> add_named(const fs::path& playbook) {
    for (const std::string& word : words_of(TRY(system::read_file(playbook, 1_MiB)))) {
      const fs::path relative = fs::path(word).lexically_normal();
      const std::string name = relative.string();
      std::error_code ignored;
      if (relative.is_absolute() || name.starts_with("..") || seen_.contains(name) ||
          seen_.contains(relative.begin()->string()) ||
          !fs::is_regular_file(top_ / relative, ignored)) {
        continue;
      }
      add(name);
      if (is_playbook(relative)) {
        TRY(add_named(top_ / relative));
      }
    }
    return {};
  }

  const recipe::AnsibleStep& step_;
  fs::path top_;
  std::vector<ToolInput> inputs_;
  std::set<std::string> seen_;
};

fs::path directory_name(const fs::path& directory) {
  return directory.filename().empty() ? directory.parent_path().filename() : directory.filename();
}

/// A role, or a directory of roles.
bool is_role(const fs::path& directory) {
  return std::any_of(kInRoles.begin(), kInRoles.end(), [&directory](const char* name) {
    return is_a_directory(directory / name);
  });
}

Result<void> add_roles(std::vector<ToolInput>& inputs, const recipe::AnsibleStep& step) {
  std::set<std::string> names;
  for (const recipe::AnsiblePart& role : step.roles) {
    const std::string name = directory_name(role.directory);
    const std::string to = (is_role(role.directory) ? "roles/" : "role_sets/") + name;
    if (!names.insert(to).second) {
      return Error{ErrorKind::invalid_input,
                   "two directories under 'roles:' have the name '" + name + "'",
                   "put both into one directory of roles"};
    }
    inputs.push_back({"role " + role.name, role.directory, to, role.name});
  }
  return {};
}

/// "namespace: acme" of a galaxy.yml.
std::string galaxy_value(const std::string& text, const std::string& key) {
  const std::string start = "\n" + key + ":";
  const std::size_t at = ("\n" + text).find(start);
  if (at == std::string::npos) {
    return "";
  }
  const std::string line = ("\n" + text).substr(at + start.size());
  const std::size_t first = line.find_first_not_of(" \t'\"");
  const std::size_t end = line.find_first_of(" \t'\"\r\n#", std::min(first, line.size()));
  return first == std::string::npos ? "" : line.substr(first, end - first);
}

Result<void> add_collections(std::vector<ToolInput>& inputs, const recipe::AnsibleStep& step) {
  for (const recipe::AnsiblePart& collection : step.collections) {
    if (collection.directory.empty()) {
      continue;
    }
    const auto galaxy = system::read_file(collection.directory / "galaxy.yml", 1_MiB);
    const std::string space = galaxy ? galaxy_value(*galaxy, "namespace") : "";
    const std::string name = galaxy ? galaxy_value(*galaxy, "name") : "";
    if (space.empty() || name.empty()) {
      return Error{ErrorKind::invalid_input,
                   collection.name +
                       " is no collection: it has no galaxy.yml with its 'namespace' "
                       "and 'name'",
                   "name the directory that holds the collection's galaxy.yml"};
    }
    inputs.push_back({"collection " + collection.name,
                      collection.directory,
                      "collections/ansible_collections/" + space + "/" + name,
                      collection.name});
  }
  return {};
}

}  // namespace

Result<std::vector<ToolInput>> ansible_inputs(const recipe::AnsibleStep& step) {
  std::vector<ToolInput> inputs = TRY(Beside(step).collect());
  TRY(add_roles(inputs, step));
  TRY(add_collections(inputs, step));
  return inputs;
}

}  // namespace goldmill::provision
