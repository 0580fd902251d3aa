// SPDX-License-Identifier: GPL-3.0-or-later
// Account files: the lines of /etc/passwd, group, shadow and gshadow that a lock fixes.
#pragma once

#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/guest/guest_tree.hpp>

namespace goldmill::guest {

/// The lines that are not empty.
std::vector<std::string> account_lines(const std::string& text);
/// The name that a line of any of the files is about.
std::string account_of(const std::string& line);

/// Appends the lines of {"passwd": [...], ...} whose names are not there yet; files that are
/// missing are left out. Errors: invalid_input (a line that is none of its file), conflict (the
/// image below gave the name another id, or the id to another name: files would change owner).
Result<void> add_accounts(GuestTree& tree, const Json& accounts);

}  // namespace goldmill::guest
