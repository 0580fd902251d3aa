// SPDX-License-Identifier: GPL-3.0-or-later
// Reading `cloud_config:`, for the steps of a recipe.
#pragma once

#include "reader.hpp"

namespace goldmill::recipe {

/// `node` is a file's name or the document itself, as a map. Errors: invalid_input with the
/// position in whichever file it is, for keys that are unknown or make no sense for an image.
Result<CloudConfigStep> read_cloud_config(const Source& source, const Node& node);

}  // namespace goldmill::recipe
