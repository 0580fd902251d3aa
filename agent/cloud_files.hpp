// SPDX-License-Identifier: GPL-3.0-or-later
// Cloud files: identities as other tools hand them over (NoCloud, OpenStack's config drive), of
// which the agent reads name, keys and user-data by line; and how their disks are recognised.
// Sources: cloud-init documentation "NoCloud"; OpenStack Nova "Metadata", "Config drives".
#pragma once

#include <string>
#include <string_view>

#include "identity.hpp"

namespace goldmill::agent {

/// Take a value when it is one, and pass over it otherwise. A key is the default user's.
void take_hostname(std::string_view name, Identity& identity);
void take_key(std::string_view line, Identity& identity);

/// NoCloud meta-data: local-hostname, hostname, instance-id, public-keys.
void read_meta_data(std::string_view text, Identity& identity);
/// "#cloud-config": hostname, fqdn, ssh_authorized_keys at the top level; the rest is not acted on.
void read_cloud_config(std::string_view text, Identity& identity);
/// openstack/latest/meta_data.json, of a disk or a service: hostname, uuid, public_keys. False when
/// it is no JSON.
bool read_openstack_meta_data(std::string_view text, Identity& identity);

/// The label of an ISO 9660 or FAT file system in lower case, or "". `start` holds the first
/// 40 KiB of the device.
std::string file_system_label(std::string_view start);
constexpr std::size_t kLabelBytes = std::size_t{40} * 1024;

}  // namespace goldmill::agent
