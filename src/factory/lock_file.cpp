// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/factory/lock_file.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::factory {

namespace {
constexpr int kFormat = 1;

Json or_null(const Json* value) {
  return value == nullptr ? Json() : *value;
}

/// Later code takes their form for granted.
Result<Json> checked_step_packages(const Json& steps) {
  bool is_good = steps.is_object();
  for (const Json& entry : is_good ? steps : Json::object()) {
    const Json* packages = find_value(entry, "packages");
    is_good = is_good && packages != nullptr && packages->is_array();
  }
  if (!is_good) {
    return Error{ErrorKind::invalid_input,
                 "its 'step_packages' are damaged",
                 "restore it from version control, or remove it to resolve packages again"};
  }
  return steps;
}
}  // namespace

std::filesystem::path LockFile::path_for(const std::filesystem::path& recipe) {
  return std::filesystem::path(recipe).replace_extension(".lock");
}

std::filesystem::path LockFile::kept_path_for(const std::filesystem::path& recipe) {
  return std::filesystem::path(recipe).replace_extension(".packages");
}

Result<LockFile> LockFile::read(const std::filesystem::path& file) {
  const std::string text = TRY(system::read_file(file, 64_MiB));
  auto json = parse_json(text, file.string());
  const auto format = json ? find_integer(*json, "goldmill_lock") : std::nullopt;
  if (!format || *format > kFormat) {
    return Error{ErrorKind::invalid_input,
                 file.string() + (format ? " was written by a newer goldmill" : " is damaged"),
                 "restore it from version control, or remove it to resolve packages again"};
  }
  LockFile lock;
  lock.recipe = TRY(string_at(*json, "recipe").context(file.string()));
  if (const auto parent = find_string(*json, "parent")) {
    lock.parent = TRY(Digest::parse(*parent).context(file.string()));
  }
  lock.requests = or_null(find_value(*json, "requests"));
  lock.packages = or_null(find_value(*json, "packages"));
  lock.tools = or_null(find_value(*json, "tools"));
  lock.step_tools = or_null(find_value(*json, "step_tools"));
  if (const Json* packages = find_value(*json, "step_packages")) {
    lock.step_packages = TRY(checked_step_packages(*packages).context(file.string()));
  }
  lock.epoch = TRY(integer_at(*json, "epoch").context(file.string()));
  if (const Json* accounts = find_value(*json, "accounts")) {
    lock.accounts = *accounts;
  }
  if (const Json* inputs = find_value(*json, "inputs"); inputs != nullptr && inputs->is_object()) {
    lock.inputs = *inputs;
  }
  lock.archives = or_null(find_value(*json, "archives"));
  if (const Json* ids = find_value(*json, "ids"); ids != nullptr && ids->is_object()) {
    lock.ids = *ids;
  }
  return lock;
}

Result<std::optional<LockFile>> LockFile::find(const std::filesystem::path& file) {
  auto lock = read(file);
  if (!lock && lock.error().kind == ErrorKind::not_found) {
    return std::optional<LockFile>();
  }
  return std::optional(TRY(std::move(lock)));
}

std::map<std::string, std::string> LockFile::versions() const {
  std::map<std::string, std::string> versions;
  for (const Json* resolution : {&packages, &tools, &step_tools}) {
    const Json* list = find_value(*resolution, "packages");
    for (const Json& package : list == nullptr ? Json::array() : *list) {
      versions.emplace(find_string(package, "name").value_or(""),
                       find_string(package, "version").value_or(""));
    }
  }
  for (const auto& [step, entry] : step_packages.items()) {
    const Json* list = find_value(entry, "packages");
    for (const Json& package : list == nullptr ? Json::array() : *list) {
      versions.emplace(find_string(package, "name").value_or(""),
                       find_string(package, "version").value_or(""));
    }
  }
  return versions;
}

Result<guest::PinnedPackages> LockFile::pinned() const {
  guest::PinnedPackages pinned;
  pinned.packages = TRY(guest::resolution_from_json(packages));
  if (!tools.is_null()) {
    pinned.tools = TRY(guest::resolution_from_json(tools));
  }
  if (!step_tools.is_null()) {
    pinned.step_tools = TRY(guest::resolution_from_json(step_tools));
  }
  for (const auto& [step, entry] : step_packages.items()) {
    pinned.step_packages[step];  // none is an answer, too
    const Json* list = find_value(entry, "packages");
    for (const Json& package : list == nullptr ? Json::array() : *list) {
      pinned.step_packages[step].push_back(TRY(guest::package_from_json(package)));
    }
  }
  pinned.accounts = accounts;
  return pinned;
}

Json LockFile::to_json() const {
  Json json = {{"goldmill_lock", kFormat},
               {"recipe", recipe},
               {"parent", parent ? Json(parent->text()) : Json()},
               {"requests", requests},
               {"packages", packages},
               {"tools", tools},
               {"epoch", epoch},
               {"accounts", accounts}};
  // Absent where there are none: a lock's digest is part of its image's.
  if (!step_tools.is_null()) {
    json["step_tools"] = step_tools;
  }
  if (!step_packages.empty()) {
    json["step_packages"] = step_packages;
  }
  return json;
}

std::string LockFile::text() const {
  Json json = to_json();
  if (inputs.is_object()) {
    json["inputs"] = inputs;
  }
  if (!archives.empty()) {
    json["archives"] = archives;
  }
  if (!ids.empty()) {
    json["ids"] = ids;
  }
  return json.dump(1) + "\n";
}

Result<void> LockFile::write(const std::filesystem::path& file) const {
  const std::string text = this->text();
  const auto old = system::read_file(file, 64_MiB);
  if (old && *old == text) {
    return {};
  }
  return system::write_file(file, text);
}

/// But for the steps' names, which files' names are part of.
Digest LockFile::digest() const {
  Json json = to_json();
  if (const auto steps = json.find("step_packages"); steps != json.end()) {
    std::vector<Json> entries(steps->begin(), steps->end());
    std::sort(entries.begin(), entries.end());
    *steps = entries;
  }
  return sha256(canonical(json));
}

}  // namespace goldmill::factory
