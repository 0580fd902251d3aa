// SPDX-License-Identifier: GPL-3.0-or-later
// Snapshot: what a finished image keeps of its merged recipe: what holds for it and what it
// promises. An image is tested, and built upon, as it was built, whatever became of the file.
#pragma once

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::recipe {

/// Name, OS, hardware, clouds, baseline, disk, promises, apt's sources; no packages, provisioning
/// or secrets.
Json to_snapshot(const Recipe& merged);

/// Errors: invalid_input.
Result<Recipe> from_snapshot(const Json& json);

}  // namespace goldmill::recipe
