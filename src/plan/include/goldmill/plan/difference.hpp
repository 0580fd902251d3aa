// SPDX-License-Identifier: GPL-3.0-or-later
// Difference: what a step's record has other than an earlier one's, and which of the earlier is
// nearest: why it runs.
#pragma once

#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/plan/plan.hpp>

namespace goldmill::plan {

/// The first input that differs between two records, in words; "" when none does. A step that
/// stood on other layers of the parent says "base is now base@7".
std::string first_difference(const Json& before, const Json& now, const Parent& parent = {});

/// Of steps, newest first, the one whose record differs from this one in the fewest values; the
/// newest of several such. There must be one.
const DoneStep& nearest(const std::vector<DoneStep>& steps, const Json& now);

}  // namespace goldmill::plan
