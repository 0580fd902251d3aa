// SPDX-License-Identifier: GPL-3.0-or-later
// The recipe's `provision:` -> steps, and the step kinds that run them.
#pragma once

#include <map>
#include <span>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/plan/step.hpp>
#include <goldmill/plan/step_kind.hpp>
#include <goldmill/recipe/recipe.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::provision {

/// One step per entry of `provision:`, in order. Reads the files that steps copy, to digest them.
/// Errors: invalid_input with the entry's position; not_found.
Result<std::vector<plan::Step>> make_steps(const recipe::Recipe& recipe);

/// Packages whose programs the steps use from outside the image -> where the recipe asks for them.
std::map<std::string, std::string> tools_of(const recipe::Recipe& recipe);

/// Whether what a step needs from the caller is there now: its secrets. Errors: those of reading.
Result<void> check_ready(const plan::Step& step);

/// The kind that runs a step ("provision.shell"), or nullptr: it is not one of this module.
plan::StepKind* find_kind(std::string_view name);

/// What `provision:` knows: "shell", "files", ...
std::vector<std::string_view> names();

/// The workers of this module; main() joins them with the others'.
std::span<const system::WorkerEntry> workers();

}  // namespace goldmill::provision
