// SPDX-License-Identifier: GPL-3.0-or-later
// Additions: the rule that says whether packages merely add paths to a tree, so that our own
// unpacker gives what dpkg would. When in doubt it says no, and dpkg does the work.
#pragma once

#include <optional>
#include <string>

#include <goldmill/base/result.hpp>
#include <goldmill/guest/dpkg_database.hpp>
#include <goldmill/guest/guest_tree.hpp>
#include <goldmill/guest/package_set.hpp>

namespace goldmill::guest {

/// Why dpkg must unpack them, or nullopt when they merely add.
Result<std::optional<std::string>> reason_for_dpkg(GuestTree& tree, const PackageSet& packages);

}  // namespace goldmill::guest
