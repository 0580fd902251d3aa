// SPDX-License-Identifier: GPL-3.0-or-later
// FirstBoot: units for what packages make once for a machine. An image holds none of it, since all
// instances would share it: each makes its own before it is needed.
#pragma once

#include <goldmill/base/result.hpp>
#include <goldmill/guest/guest_tree.hpp>

namespace goldmill::guest {

/// Adds and enables the units that the tree's programs call for.
Result<void> add_first_boot_units(GuestTree& tree);

}  // namespace goldmill::guest
