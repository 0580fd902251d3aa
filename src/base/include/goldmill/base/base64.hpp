// SPDX-License-Identifier: GPL-3.0-or-later
// Base64 of RFC 4648, with padding.
#pragma once

#include <string>
#include <string_view>

#include <goldmill/base/result.hpp>

namespace goldmill {

std::string base64(std::string_view bytes);
/// Errors: corrupt.
Result<std::string> decode_base64(std::string_view text);

}  // namespace goldmill
