// SPDX-License-Identifier: GPL-3.0-or-later
// Names of packages and groups in Fedora and Red Hat -> names in Debian: package_names.def.
#pragma once

#include <string>
#include <vector>

namespace goldmill::kickstart {

/// The same name where the table has none; "" for what Debian has not, or always.
std::string debian_name(const std::string& name);

/// The name by which debian_name() gives `debian` back; "" when there is none.
std::string rpm_name(const std::string& debian);

/// nullptr: no group that Debian has a counterpart for.
const std::vector<std::string>* members_of_group(const std::string& group);

}  // namespace goldmill::kickstart
