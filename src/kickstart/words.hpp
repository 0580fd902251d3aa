// SPDX-License-Identifier: GPL-3.0-or-later
// The words of a line, as Python's shlex.split(line, comments=True) gives them: what the reference
// parser reads commands with.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>

namespace goldmill::kickstart {

/// `#` outside of quotes begins a comment, also within a word. Errors: invalid_input (a quotation
/// that does not end, nothing behind a backslash).
Result<std::vector<std::string>> split_words(std::string_view line);

/// ASCII letters only.
std::string lowered(std::string text);

/// Without white space at both ends.
std::string_view trimmed(std::string_view text);

/// Up to a blank or tab.
std::string_view first_word(std::string_view line);

/// Without their ends, LF or CR LF.
std::vector<std::string_view> lines_of(std::string_view text);

}  // namespace goldmill::kickstart
