// SPDX-License-Identifier: GPL-3.0-or-later
// Names of packages and groups in Fedora and Red Hat -> names in Debian: package_names.def.
#pragma once

#include <string>
#include <vector>

namespace goldmill::kickstart {

/// The same name where the table has none; "" for what Debian has not, or always.
std::string debian_name(const std::string& name);

/// What Fedora and Red Hat call a package of Debian, so that debian_name() gives `debian` back: of
/// several names in the table the first. The same name where the table has none, "" where the table
/// says that the name means something else there.
std::string rpm_name(const std::string& debian);

/// nullptr: no group that Debian has a counterpart for.
const std::vector<std::string>* members_of_group(const std::string& group);

}  // namespace goldmill::kickstart
