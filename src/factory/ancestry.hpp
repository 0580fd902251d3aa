// SPDX-License-Identifier: GPL-3.0-or-later
// Ancestry: an image and those that it stands on, as they are recorded.
#pragma once

#include <optional>
#include <vector>

#include <goldmill/factory/session.hpp>

namespace goldmill::factory {

/// Nothing for a base.
Result<std::optional<store::ImageRecord>> parent_of(Session& session,
                                                    const store::ImageRecord& image);

/// From the image itself down to its base.
Result<std::vector<store::ImageRecord>> line_of(Session& session, const store::ImageRecord& image);

}  // namespace goldmill::factory
