// SPDX-License-Identifier: GPL-3.0-or-later
// The lines in which two texts differ.
#pragma once

#include <string>
#include <string_view>

#include <goldmill/base/result.hpp>

namespace goldmill::build {

/// As `diff -u` says it, from the first "@@" on; "" when they are equal. A worker's job where the
/// texts are a guest's. Errors: not_found (no diff), tool_failed.
Result<std::string> text_difference(std::string_view before, std::string_view after);

}  // namespace goldmill::build
