// SPDX-License-Identifier: GPL-3.0-or-later
// SSH public keys as files hold them: one line each, type, blob and comment.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace goldmill::recipe {

bool is_public_key(std::string_view line);

/// Whether a file's text is, or holds, the half that stays at home.
bool is_private_key(std::string_view text);

/// The keys in a file's text, without blank lines and comments; none when another line is no key.
std::vector<std::string> find_public_keys(const std::string& text);

}  // namespace goldmill::recipe
