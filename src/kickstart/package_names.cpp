// SPDX-License-Identifier: GPL-3.0-or-later
#include <map>

#include <goldmill/kickstart/package_names.hpp>

namespace goldmill::kickstart {

namespace {
const std::map<std::string, std::string>& names() {
  static const std::map<std::string, std::string> kNames = {
#define PACKAGE(rpm, deb) {rpm, deb},
#include "package_names.def"
#undef PACKAGE
  };
  return kNames;
}
}  // namespace

std::string debian_name(const std::string& name) {
  const auto known = names().find(name);
  return known == names().end() ? name : known->second;
}

std::string rpm_name(const std::string& debian) {
  if (debian_name(debian) == debian) {
    return debian;
  }
  for (const auto& [rpm, deb] : names()) {
    if (deb == debian) {
      return rpm;
    }
  }
  return "";
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
