// SPDX-License-Identifier: GPL-3.0-or-later
// Explanation: what a recipe means, in words.
#pragma once

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/factory/build_image.hpp>
#include <goldmill/factory/session.hpp>

namespace goldmill::factory {

/// {"recipe", "sections": [{"title", "lines": [text]}]}: baseline, security rules with reason and
/// source, packages asked for, disk, promises.
Result<Json> explain(Session& session, const BuildRequest& request);

}  // namespace goldmill::factory
