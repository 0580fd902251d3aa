// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include <goldmill/base/result.hpp>
#include <goldmill/guest/package_set.hpp>

namespace goldmill::guest {

/// What dpkg writes as info/NAME.md5sums for a package that ships none, as makers other than
/// Debian's tools do: all files, conffiles too, in the archive's order. Source: deb-md5sums(5),
/// and what dpkg 1.21 does.
Result<std::string> file_sums(const PackageSet::Member& member);

}  // namespace goldmill::guest
