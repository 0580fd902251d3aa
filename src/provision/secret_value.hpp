// SPDX-License-Identifier: GPL-3.0-or-later
// Secrets on their way from the caller to a step: memory only, named by name and version only.
#pragma once

#include <string>

#include <goldmill/base/result.hpp>
#include <goldmill/plan/step.hpp>
#include <goldmill/recipe/recipe.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::provision {

/// Makes the secret known to a step: its version is part of the key, where its value stands is
/// not (`sources["secret NAME"]` is its file, or "env:VARIABLE").
Result<void> add_secret(plan::Step& step, const recipe::Recipe& recipe, const std::string& name);

/// A memory file of mode 0400 with the value. Errors: not_found, naming where it was looked for.
Result<system::UniqueFd> open_secret(const plan::Step& step, const std::string& name);

}  // namespace goldmill::provision
