// SPDX-License-Identifier: GPL-3.0-or-later
// cloud-init's user-data -> recipe, with a word on every key: what it became, or why nothing.
#pragma once

#include <goldmill/base/result.hpp>
#include <goldmill/kickstart/import.hpp>

namespace goldmill::recipe {

/// Of a "#cloud-config" document. Errors: not_found; invalid_input with file:line:column.
Result<kickstart::Import> import_user_data(const kickstart::ImportRequest& request);

}  // namespace goldmill::recipe
