// SPDX-License-Identifier: GPL-3.0-or-later
// UTF-8 text: checked, shown safely, measured in terminal columns.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace goldmill {

/// The first code point of `text` and its bytes; nullopt when it is not UTF-8 (overlong forms,
/// surrogates and values above U+10FFFF included) or empty.
struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;
};
std::optional<CodePoint> first_code_point(std::string_view text);

/// Where the first byte stands that is not UTF-8; nullopt when all is well.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

/// Text of a stranger made safe for a terminal and a log: control characters, bidirectional
/// overrides and broken bytes become visible escapes (\n, \x1b, \u{202e}). `keep_lines` lets
/// newlines and tabs through.
enum class Lines : bool { escape, keep };
std::string escape_controls(std::string_view text, Lines lines = Lines::escape);

/// Columns that the text takes on a terminal: combining marks take none, East Asian wide
/// characters and emoji two.
std::size_t display_width(std::string_view text);

}  // namespace goldmill
