// SPDX-License-Identifier: GPL-3.0-or-later
// Cloud: whose metadata service may be asked. The image's recipe has to list the cloud and the
// firmware's tables (DMI) have to name it: elsewhere 169.254.169.254 may be anybody.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace goldmill::agent {

enum class Cloud : std::uint8_t { ec2, openstack };
/// As recipes write it, and as the source of an identity: "ec2", "openstack".
const char* name_of(Cloud cloud);

/// Of /sys/class/dmi/id; "" for what is not there.
struct Dmi {
  std::string sys_vendor = {};
  std::string board_vendor = {};
  std::string product_name = {};
  std::string product_uuid = {};
  std::string product_serial = {};
  std::string chassis_asset_tag = {};
};

/// Sources: Amazon EC2 User Guide "Identify EC2 instances"; cloud-init tools/ds-identify,
/// without what it only supposes.
bool is_named(Cloud cloud, const Dmi& dmi);

/// The clouds that /usr/lib/goldmill/clouds lists and DMI names. `root` is "" but in tests.
std::vector<Cloud> clouds_here(const std::string& root);

}  // namespace goldmill::agent
