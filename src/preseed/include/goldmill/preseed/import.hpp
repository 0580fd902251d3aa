// SPDX-License-Identifier: GPL-3.0-or-later
// Preseed file -> recipe, with a word on every answer: what it became, or why nothing.
#pragma once

#include <goldmill/base/result.hpp>
#include <goldmill/kickstart/import.hpp>

namespace goldmill::preseed {

/// The recipe is named after the file. Errors: not_found; invalid_input with file:line, all of
/// them.
Result<kickstart::Import> import_preseed(const kickstart::ImportRequest& request);

}  // namespace goldmill::preseed
