// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/base/digest.hpp>
#include <goldmill/recipe/snapshot.hpp>

namespace goldmill::recipe {

namespace {

template <typename T>
Json maybe(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json maybe(const std::optional<Bytes>& value) {
  return value ? Json(value->value) : Json();
}

std::optional<std::vector<std::string>> find_list(const Json& json, std::string_view key) {
  const Json* list = find_value(json, key);
  return list != nullptr && list->is_array() ? std::optional(find_strings(json, key))
                                             : std::nullopt;
}

std::optional<Bytes> find_bytes(const Json& json, std::string_view key) {
  const auto value = find_integer(json, key);
  return value ? std::optional(Bytes{static_cast<std::uint64_t>(*value)}) : std::nullopt;
}

const Json& object_at(const Json& json, std::string_view key) {
  static const Json kEmpty = Json::object();
  const Json* value = find_value(json, key);
  return value != nullptr && value->is_object() ? *value : kEmpty;
}

Json to_json(const User& user) {
  return {{"name", user.name},
          {"sudo", user.sudo},
          {"ssh_keys", user.ssh_keys},
          {"password_hash", user.password_hash},
          {"shell", user.shell},
          {"groups", user.groups}};
}

User user_from(const Json& json) {
  return {.name = find_string(json, "name").value_or(""),
          .sudo = find_bool(json, "sudo").value_or(false),
          .ssh_keys = find_strings(json, "ssh_keys"),
          .password_hash = find_string(json, "password_hash").value_or(""),
          .shell = find_string(json, "shell").value_or("/bin/bash"),
          .groups = find_strings(json, "groups")};
}

Json to_json(const Baseline& baseline) {
  Json users;
  if (baseline.users) {
    users = Json::array();
    std::transform(baseline.users->begin(),
                   baseline.users->end(),
                   std::back_inserter(users),
                   [](const User& user) { return to_json(user); });
  }
  return {{"timezone", maybe(baseline.timezone)},
          {"locale", maybe(baseline.locale)},
          {"keyboard", maybe(baseline.keyboard)},
          {"network", maybe(baseline.network)},
          {"firewall_inbound", maybe(baseline.firewall_inbound)},
          {"root", maybe(baseline.root)},
          {"users", std::move(users)},
          {"ssh_passwords", maybe(baseline.ssh_passwords)},
          {"security", maybe(baseline.security)}};
}

Baseline baseline_from(const Json& json) {
  Baseline baseline;
  baseline.timezone = find_string(json, "timezone");
  baseline.locale = find_string(json, "locale");
  baseline.keyboard = find_string(json, "keyboard");
  baseline.network = find_string(json, "network");
  baseline.firewall_inbound = find_list(json, "firewall_inbound");
  baseline.root = find_string(json, "root");
  baseline.ssh_passwords = find_bool(json, "ssh_passwords");
  baseline.security = find_string(json, "security");
  if (const Json* users = find_value(json, "users"); users != nullptr && users->is_array()) {
    baseline.users.emplace();
    std::transform(users->begin(), users->end(), std::back_inserter(*baseline.users), &user_from);
  }
  return baseline;
}

Json to_json(const Promises& promises) {
  return {{"disk_used", maybe(promises.disk_used)},
          {"image_size", maybe(promises.image_size)},
          {"boot_seconds", maybe(promises.boot_seconds)},
          {"commands", promises.commands},
          {"services", promises.services},
          {"ports", promises.ports}};
}

Promises promises_from(const Json& json) {
  Promises promises;
  promises.disk_used = find_bytes(json, "disk_used");
  promises.image_size = find_bytes(json, "image_size");
  if (const auto seconds = find_integer(json, "boot_seconds")) {
    promises.boot_seconds = static_cast<int>(*seconds);
  }
  promises.commands = find_strings(json, "commands");
  promises.services = find_strings(json, "services");
  promises.ports = find_strings(json, "ports");
  return promises;
}

Json to_json(const Disk& disk) {
  Json boot = Json::array();
  for (const Firmware firmware : disk.boot) {
    boot.push_back(name_of(firmware));
  }
  Json partitions = Json::array();
  for (const Partition& part : disk.partitions) {
    partitions.push_back({{"name", part.name},
                          {"size", maybe(part.size)},
                          {"filesystem", part.filesystem},
                          {"mount", part.mount},
                          {"label", part.label}});
  }
  Json json = {{"size", disk.size.value},
               {"filesystem", disk.filesystem},
               {"boot", std::move(boot)},
               {"partitions", std::move(partitions)}};
  if (!disk.kernel_options.empty()) {
    json["kernel_options"] = disk.kernel_options;
  }
  return json;
}

Disk disk_from(const Json& json) {
  Disk disk;
  disk.size = find_bytes(json, "size").value_or(disk.size);
  disk.filesystem = find_string(json, "filesystem").value_or(disk.filesystem);
  disk.boot.clear();
  for (const std::string& name : find_strings(json, "boot")) {
    disk.boot.push_back(name == "uefi" ? Firmware::uefi : Firmware::bios);
  }
  disk.kernel_options = find_strings(json, "kernel_options");
  const Json* partitions = find_value(json, "partitions");
  for (const Json& part : partitions == nullptr ? Json::array() : *partitions) {
    disk.partitions.push_back({find_string(part, "name").value_or(""),
                               find_bytes(part, "size"),
                               find_string(part, "filesystem").value_or(""),
                               find_string(part, "mount").value_or(""),
                               find_string(part, "label").value_or("")});
  }
  return disk;
}

std::string text_of(const PackageRequest& request) {
  switch (request.kind) {
    case PackageRequest::Kind::remove:
      return "-" + request.name;
    case PackageRequest::Kind::local:
      return "file:" + request.file.filename().string();
    case PackageRequest::Kind::install:
      break;
  }
  return request.name + (request.version.empty() ? "" : "=" + request.version);
}

Json to_json(const Repository& repository) {
  return {{"uri", without_user_info(repository.uri)},
          {"suites", repository.suites},
          {"components", repository.components}};
}

Json to_json(const ShellStep& shell) {
  return {{"shell",
           {{"script", shell.script}, {"network", shell.network}, {"secrets", shell.secrets}}}};
}

/// A content may be meant for few eyes: its digest tells as much.
Json to_json(const FilesStep& step) {
  Json files = Json::array();
  for (const FileCopy& copy : step.files) {
    files.push_back(
        {{"target", copy.target},
         {"mode", copy.mode},
         {"owner", copy.owner},
         {"group", copy.group},
         {"source",
          copy.source.empty() ? sha256(copy.content).text() : copy.source.filename().string()}});
  }
  return {{"files", std::move(files)}};
}

Json to_json(const PuppetStep& puppet) {
  Json modules = Json::array();
  for (const PuppetModule& module : puppet.modules) {
    modules.push_back(module.name);
  }
  return {{"puppet",
           {{"manifest", puppet.title},
            {"modules", std::move(modules)},
            {"facts", puppet.facts},
            {"keep_agent", puppet.keep_agent}}}};
}

Json to_json(const AnsibleStep& ansible) {
  const auto names = [](const std::vector<AnsiblePart>& parts) {
    Json list = Json::array();
    for (const AnsiblePart& part : parts) {
      list.push_back(part.name);
    }
    return list;
  };
  return {{"ansible",
           {{"playbook", ansible.title},
            {"roles", names(ansible.roles)},
            {"collections", names(ansible.collections)},
            {"groups", ansible.groups},
            {"extra_vars", ansible.extra_vars}}}};
}

Json to_json(const PackagesStep& step) {
  Json packages = Json::array();
  for (const PackageRequest& request : step.packages) {
    packages.push_back(text_of(request));
  }
  return {{"packages", std::move(packages)}};
}

/// What files hold may be meant for few eyes: their digests tell as much.
Json to_json(const CloudConfigStep& step) {
  Json config = step.config;
  if (config.contains("files")) {
    for (Json& file : config["files"]) {
      file["content"] = sha256(file.value("content", "")).text();
    }
  }
  return {{"cloud_config", {{"file", step.title}, {"config", std::move(config)}}}};
}

/// What this recipe asks for itself, beside what its ancestors did.
Json requests_of(const Recipe& recipe) {
  Json packages = Json::array();
  for (const PackageRequest& request : recipe.packages) {
    packages.push_back(text_of(request));
  }
  Json repositories = Json::array();
  for (const Repository& repository : recipe.repositories) {
    repositories.push_back(to_json(repository));
  }
  Json provision = Json::array();
  for (const ProvisionStep& step : recipe.provision) {
    provision.push_back(
        std::visit([](const auto& action) { return to_json(action); }, step.action));
  }
  Json secrets = Json::array();
  for (const Secret& secret : recipe.secrets) {
    secrets.push_back({{"name", secret.name}, {"version", secret.version}});
  }
  Json requests = {{"packages", std::move(packages)},
                   {"repositories", std::move(repositories)},
                   {"provision", std::move(provision)},
                   {"secrets", std::move(secrets)}};
  for (const DebconfAnswer& answer : recipe.debconf) {
    requests["debconf"].push_back(
        {{"package", answer.package}, {"question", answer.question}, {"value", answer.value}});
  }
  return requests;
}

}  // namespace

Json to_snapshot(const Recipe& merged) {
  Json hardware = Json::array();
  for (const Hardware entry : merged.hardware) {
    hardware.push_back(name_of(entry));
  }
  Json os;
  if (merged.os) {
    os = {{"family", merged.os->family},
          {"release", merged.os->release},
          {"architecture", merged.os->architecture}};
  }
  Json json = {{"name", merged.name},
               {"requests", requests_of(merged)},
               {"os", std::move(os)},
               {"hardware", std::move(hardware)},
               {"clouds", maybe(merged.clouds)},
               {"baseline", to_json(merged.baseline)},
               {"apt_sources", merged.apt_sources},
               {"recommends", maybe(merged.recommends)},
               {"disk", merged.disk ? to_json(*merged.disk) : Json()},
               {"promises", to_json(merged.promises)}};
  if (!merged.site_digest.empty()) {
    json["site"] = merged.site_digest;
  }
  return json;
}

std::vector<Repository> repositories_in(const Json& snapshot) {
  std::vector<Repository> repositories;
  const Json* list = find_value(object_at(snapshot, "requests"), "repositories");
  for (const Json& entry : list == nullptr ? Json::array() : *list) {
    repositories.push_back({.uri = find_string(entry, "uri").value_or(""),
                            .suites = find_strings(entry, "suites"),
                            .components = find_strings(entry, "components")});
  }
  return repositories;
}

Result<Recipe> from_snapshot(const Json& json) {
  Recipe recipe;
  recipe.name = TRY(string_at(json, "name").context("an image's recipe"));
  const Json& os = object_at(json, "os");
  recipe.os = Os{TRY(string_at(os, "family")),
                 TRY(string_at(os, "release")),
                 TRY(string_at(os, "architecture"))};
  for (const std::string& name : find_strings(json, "hardware")) {
    for (const Hardware known : kAllHardware) {
      if (name == name_of(known)) {
        recipe.hardware.push_back(known);
      }
    }
  }
  recipe.clouds = find_list(json, "clouds");
  recipe.baseline = baseline_from(object_at(json, "baseline"));
  recipe.apt_sources = find_strings(json, "apt_sources");
  recipe.recommends = find_bool(json, "recommends");
  if (const Json* disk = find_value(json, "disk"); disk != nullptr && disk->is_object()) {
    recipe.disk = disk_from(*disk);
    recipe.disk_keys = {"size", "filesystem", "boot", "kernel_options", "partitions"};
  }
  recipe.promises = promises_from(object_at(json, "promises"));
  recipe.site_digest = find_string(json, "site").value_or("");
  return recipe;
}

}  // namespace goldmill::recipe
