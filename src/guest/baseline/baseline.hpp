// SPDX-License-Identifier: GPL-3.0-or-later
// Baseline: what a recipe's baseline means once its defaults are filled in. Used by the
// baseline's own files only.
#pragma once

#include <vector>

#include <goldmill/recipe/recipe.hpp>

namespace goldmill::guest {

std::vector<recipe::User> users_of(const recipe::Baseline& baseline);
bool has_network(const recipe::Baseline& baseline);
bool has_firewall(const recipe::Baseline& baseline);
bool has_ssh(const recipe::Baseline& baseline);
bool has_sudo(const recipe::Baseline& baseline);
bool has_policy(const recipe::Baseline& baseline);
bool needs_locale_package(const recipe::Baseline& baseline);

}  // namespace goldmill::guest
