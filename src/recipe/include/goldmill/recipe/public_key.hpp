// SPDX-License-Identifier: GPL-3.0-or-later
// SSH public keys as files hold them: one line each, type, blob and comment.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>

namespace goldmill::recipe {

bool is_public_key(std::string_view line);

/// The keys in the text of `file`, which errors name. Errors: invalid_input for a private key, any
/// other line, and no key at all.
Result<std::vector<std::string>> public_keys(const std::string& text, const std::string& file);

}  // namespace goldmill::recipe
