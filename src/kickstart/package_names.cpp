// SPDX-License-Identifier: GPL-3.0-or-later
#include <map>

#include <goldmill/kickstart/package_names.hpp>

namespace goldmill::kickstart {

namespace {
struct PackageName {
  const char* rpm;
  const char* deb;
};

constexpr PackageName kPackageNames[] = {
#define PACKAGE(rpm, deb) {rpm, deb},
#include "package_names.def"
#undef PACKAGE
};
}  // namespace

std::string debian_name(const std::string& name) {
  static const auto kNames = [] {
    std::map<std::string, std::string> names;
    for (const PackageName& known : kPackageNames) {
      names.emplace(known.rpm, known.deb);
    }
    return names;
  }();
  const auto known = kNames.find(name);
  return known == kNames.end() ? name : known->second;
}

/// A name that Fedora has too stays.
std::string rpm_name(const std::string& debian) {
  std::string other;
  for (const PackageName& known : kPackageNames) {
    if (debian != known.deb) {
      continue;
    }
    if (debian == known.rpm) {
      return debian;
    }
    other = other.empty() ? known.rpm : other;
  }
  return !other.empty() || debian_name(debian) != debian ? other : debian;
}

const std::vector<std::string>* members_of_group(const std::string& group) {
  static const std::map<std::string, std::vector<std::string>> kGroups = {
      {"core", {}},
      {"Core", {}},
      {"base", {}},
      {"Base", {}},
      {"standard", {}},
      {"minimal", {}},
      {"^minimal", {}},
      {"^minimal-environment", {}},
      {"minimal-environment", {}},
      {"^server-product-environment", {}},
      {"guest-agents", {"qemu-guest-agent"}},
      {"virtualization-guest-agents", {"qemu-guest-agent"}},
      {"development", {"build-essential"}},
      {"development-tools", {"build-essential"}},
      {"web-server", {"apache2"}},
      {"container-management", {"podman"}}};
  const auto known = kGroups.find(group);
  return known == kGroups.end() ? nullptr : &known->second;
}

}  // namespace goldmill::kickstart
