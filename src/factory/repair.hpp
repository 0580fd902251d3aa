// SPDX-License-Identifier: GPL-3.0-or-later
// Repair: makes damaged and missing objects of the store again.
#pragma once

#include <vector>

#include <goldmill/factory/check.hpp>

namespace goldmill::factory {

/// Tries each finding and notes what came of it. What is damaged goes, so that nothing is built on
/// it, also when nothing can take its place.
Result<void> repair_findings(Session& session, std::vector<CheckFinding>& findings);

}  // namespace goldmill::factory
