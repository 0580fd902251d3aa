// SPDX-License-Identifier: GPL-3.0-or-later
// Snapshot: what a finished image keeps of its merged recipe: what holds for it and what it
// promises. An image is tested, and built upon, as it was built, whatever became of the file.
#pragma once

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::recipe {

/// What from_snapshot() reads back: name, OS, hardware, clouds, baseline, disk, promises, apt's
/// sources. And, for whoever compares images, what the recipe itself asks for: packages,
/// repositories, provisioning. Secrets by name and version only.
Json to_snapshot(const Recipe& merged);

/// Errors: invalid_input.
Result<Recipe> from_snapshot(const Json& json);

/// The archives that the recipe named, without keys, users and passwords.
std::vector<Repository> repositories_in(const Json& snapshot);

}  // namespace goldmill::recipe
