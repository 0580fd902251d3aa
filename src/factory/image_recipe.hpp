// SPDX-License-Identifier: GPL-3.0-or-later
// The merged recipe that an image keeps: what holds for it and what it promises.
#pragma once

#include <goldmill/base/result.hpp>
#include <goldmill/recipe/recipe.hpp>
#include <goldmill/store/catalogue.hpp>

namespace goldmill::factory {

/// Errors: corrupt.
Result<recipe::Recipe> recipe_of(const store::ImageRecord& image);

}  // namespace goldmill::factory
