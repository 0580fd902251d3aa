// SPDX-License-Identifier: GPL-3.0-or-later
#include "cloud.hpp"

#include <algorithm>
#include <string_view>

#include "files.hpp"
#include "text.hpp"

namespace goldmill::agent {
namespace {

std::string lower_case(std::string text) {
  for (char& c : text) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return text;
}

/// Nitro and bare metal by their vendor; Xen by a UUID, which the serial number repeats.
bool is_ec2(const Dmi& dmi) {
  constexpr std::string_view kVendor = "Amazon EC2";
  const std::string uuid = lower_case(dmi.product_uuid);
  return dmi.sys_vendor == kVendor || dmi.board_vendor == kVendor ||
         (uuid.starts_with("ec2") && uuid == lower_case(dmi.product_serial));
}

bool is_openstack(const Dmi& dmi) {
  constexpr std::string_view kNames[] = {"OpenStack Nova", "OpenStack Compute"};
  // Clouds that run it under a name of their own.
  constexpr std::string_view kTags[] = {"OpenTelekomCloud", "SAP CCloud VM", "HUAWEICLOUD"};
  const auto is_one_of = [](const auto& list, const std::string& value) {
    return std::find(std::begin(list), std::end(list), value) != std::end(list);
  };
  return is_one_of(kNames, dmi.product_name) || is_one_of(kNames, dmi.chassis_asset_tag) ||
         is_one_of(kTags, dmi.chassis_asset_tag);
}

Dmi read_dmi(const std::string& root) {
  const auto read = [&root](const char* name) {
    const auto text = read_file(root + "/sys/class/dmi/id/" + name, 256);
    return text ? std::string(trimmed(text.value())) : std::string();
  };
  return {.sys_vendor = read("sys_vendor"),
          .board_vendor = read("board_vendor"),
          .product_name = read("product_name"),
          .product_uuid = read("product_uuid"),
          .product_serial = read("product_serial"),
          .chassis_asset_tag = read("chassis_asset_tag")};
}

}  // namespace

const char* name_of(Cloud cloud) {
  return cloud == Cloud::ec2 ? "ec2" : "openstack";
}

bool is_named(Cloud cloud, const Dmi& dmi) {
  return cloud == Cloud::ec2 ? is_ec2(dmi) : is_openstack(dmi);
}

std::vector<Cloud> clouds_here(const std::string& root) {
  std::vector<Cloud> clouds;
  const auto list = read_file(root + "/usr/lib/goldmill/clouds", 4096);
  if (!list) {
    return clouds;
  }
  const Dmi dmi = read_dmi(root);
  const auto names = lines_of(list.value());
  for (const Cloud cloud : {Cloud::ec2, Cloud::openstack}) {
    if (std::find(names.begin(), names.end(), name_of(cloud)) != names.end() &&
        is_named(cloud, dmi)) {
      clouds.push_back(cloud);
    }
  }
  return clouds;
}

}  // namespace goldmill::agent
