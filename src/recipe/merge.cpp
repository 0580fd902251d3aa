// SPDX-License-Identifier: GPL-3.0-or-later
// What a variant takes over from its ancestors.
#include <algorithm>

#include <goldmill/recipe/load.hpp>

namespace goldmill::recipe {

namespace {

template <typename T>
void replace(std::optional<T>& target, const std::optional<T>& newer) {
  if (newer) {
    target = newer;
  }
}

template <typename T>
void replace(std::vector<T>& target, const std::vector<T>& newer) {
  if (!newer.empty()) {
    target = newer;
  }
}

void merge(Baseline& target, const Baseline& newer) {
  replace(target.timezone, newer.timezone);
  replace(target.locale, newer.locale);
  replace(target.keyboard, newer.keyboard);
  replace(target.network, newer.network);
  replace(target.firewall_inbound, newer.firewall_inbound);
  replace(target.root, newer.root);
  replace(target.users, newer.users);
  replace(target.ssh_passwords, newer.ssh_passwords);
  replace(target.security, newer.security);
}

void merge(Disk& target, const Disk& newer, const std::vector<std::string>& keys) {
  const auto given = [&keys](const char* key) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
  };
  if (given("size")) {
    target.size = newer.size;
  }
  if (given("filesystem")) {
    target.filesystem = newer.filesystem;
    target.partitions.clear();
  }
  if (given("boot")) {
    target.boot = newer.boot;
  }
  if (given("kernel_options")) {
    target.kernel_options = newer.kernel_options;
  }
  if (given("partitions")) {
    target.partitions = newer.partitions;
  }
}

void add_new(std::vector<std::string>& target, const std::vector<std::string>& more) {
  for (const std::string& entry : more) {
    if (std::find(target.begin(), target.end(), entry) == target.end()) {
      target.push_back(entry);
    }
  }
}

void merge(Recipe& target, const Recipe& newer, Disk& disk) {
  replace(target.os, newer.os);
  merge(target.baseline, newer.baseline);
  replace(target.hardware, newer.hardware);
  replace(target.clouds, newer.clouds);
  replace(target.repositories, newer.repositories);
  replace(target.apt_sources, newer.apt_sources);
  replace(target.recommends, newer.recommends);
  if (!newer.proxy.empty()) {
    target.proxy = newer.proxy;
  }
  if (newer.disk) {
    merge(disk, *newer.disk, newer.disk_keys);
  }
  add_new(target.disk_keys, newer.disk_keys);
  add_new(target.promises.commands, newer.promises.commands);
  add_new(target.promises.services, newer.promises.services);
  add_new(target.promises.ports, newer.promises.ports);
}

/// By `is_same`, which says that an entry is there already.
template <typename T, typename IsSame>
void add_missing(std::vector<T>& target, const std::vector<T>& more, const IsSame& is_same) {
  std::vector<T> missing;
  for (const T& entry : more) {
    if (std::none_of(
            target.begin(), target.end(), [&](const T& other) { return is_same(entry, other); })) {
      missing.push_back(entry);
    }
  }
  target.insert(target.begin(), missing.begin(), missing.end());
}

/// An inherited list may be from before the site's settings.
void add_enforced(Recipe& target, const Recipe& site) {
  const auto equal = [](const auto& one, const auto& other) { return one == other; };
  const auto same_name = [](const User& one, const User& other) { return one.name == other.name; };
  if (site.baseline.firewall_inbound) {
    add_missing(*target.baseline.firewall_inbound, *site.baseline.firewall_inbound, equal);
  }
  if (site.baseline.users) {
    add_missing(*target.baseline.users, *site.baseline.users, same_name);
  }
  if (site.clouds) {
    add_missing(*target.clouds, *site.clouds, equal);
  }
  if (!site.hardware.empty()) {
    add_missing(target.hardware, site.hardware, equal);
  }
  if (site.disk) {
    add_missing(target.disk->kernel_options, site.disk->kernel_options, equal);
  }
  add_missing(target.apt_sources, site.apt_sources, equal);
  add_missing(target.promises.commands, site.promises.commands, equal);
  add_missing(target.promises.services, site.promises.services, equal);
  add_missing(target.promises.ports, site.promises.ports, equal);
}

template <typename T>
void fill(std::optional<T>& target, T standard) {
  if (!target) {
    target = std::move(standard);
  }
}

void fill_defaults(Recipe& recipe) {
  Baseline& baseline = recipe.baseline;
  fill<std::string>(baseline.timezone, "UTC");
  fill<std::string>(baseline.locale, "C.UTF-8");
  fill<std::string>(baseline.network, "dhcp");
  fill<std::vector<std::string>>(baseline.firewall_inbound, {"ssh"});
  fill<std::string>(baseline.root, "locked");
  fill<std::vector<User>>(baseline.users, {});
  fill(baseline.ssh_passwords, false);
  fill<std::string>(baseline.security, "standard");
  fill(recipe.recommends, false);
  fill<std::vector<std::string>>(recipe.clouds, {});
  if (recipe.hardware.empty()) {
    recipe.hardware.assign(kAllHardware.begin(), kAllHardware.end());
  }
}

}  // namespace

Recipe merged(const std::vector<Recipe>& lineage) {
  GOLDMILL_ASSERT(!lineage.empty());
  Recipe inherited;
  Disk disk;
  for (const Recipe& recipe : lineage) {
    merge(inherited, recipe, disk);
  }
  Recipe result = lineage.back();
  result.os = inherited.os;
  result.baseline = inherited.baseline;
  result.hardware = inherited.hardware;
  result.clouds = inherited.clouds;
  result.repositories = inherited.repositories;
  result.apt_sources = inherited.apt_sources;
  result.recommends = inherited.recommends;
  result.proxy = inherited.proxy;
  result.disk = disk;
  result.disk_keys = inherited.disk_keys;
  result.promises.commands = inherited.promises.commands;
  result.promises.services = inherited.promises.services;
  result.promises.ports = inherited.promises.ports;
  fill_defaults(result);
  if (result.site) {
    add_enforced(result, *result.site);
  }
  return result;
}

Recipe with_enforced(Recipe own, const Recipe& parent) {
  if (!own.site || own.site_digest == parent.site_digest) {
    return own;
  }
  const Recipe& site = *own.site;
  const auto same_package = [](const PackageRequest& one, const PackageRequest& other) {
    return one.name == other.name && one.file == other.file;
  };
  const auto never = [](const auto& /*one*/, const auto& /*other*/) { return false; };
  add_missing(own.packages, site.packages, same_package);
  add_missing(own.debconf, site.debconf, never);
  add_missing(own.provision, site.provision, never);
  add_missing(own.secrets, site.secrets, never);
  add_missing(own.repositories, site.repositories, never);
  return own;
}

}  // namespace goldmill::recipe
