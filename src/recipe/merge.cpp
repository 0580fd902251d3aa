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
  return result;
}

}  // namespace goldmill::recipe
