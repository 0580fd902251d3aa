// SPDX-License-Identifier: GPL-3.0-or-later
#include "image_recipe.hpp"

#include <goldmill/recipe/snapshot.hpp>

namespace goldmill::factory {

Result<recipe::Recipe> recipe_of(const store::ImageRecord& image) {
  const Json* snapshot = find_value(image.details, "recipe");
  if (snapshot == nullptr) {
    return Error{ErrorKind::corrupt,
                 image.reference() + " does not hold its recipe",
                 "build it again with this goldmill"};
  }
  return recipe::from_snapshot(*snapshot);
}

}  // namespace goldmill::factory
