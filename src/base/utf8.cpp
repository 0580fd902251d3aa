// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

#include <goldmill/base/utf8.hpp>

namespace goldmill {

namespace {

struct Range {
  char32_t first;
  char32_t last;
};

/// Sorted ranges; the coarse blocks of Unicode 15's EastAsianWidth (W, F) and emoji.
constexpr std::array<Range, 18> kWide = {{{0x1100, 0x115F},
                                          {0x231A, 0x231B},
                                          {0x2329, 0x232A},
                                          {0x23E9, 0x23EC},
                                          {0x2E80, 0x303E},
                                          {0x3041, 0x33FF},
                                          {0x3400, 0x4DBF},
                                          {0x4E00, 0x9FFF},
                                          {0xA000, 0xA4CF},
                                          {0xA960, 0xA97F},
                                          {0xAC00, 0xD7A3},
                                          {0xF900, 0xFAFF},
                                          {0xFE30, 0xFE6F},
                                          {0xFF00, 0xFF60},
                                          {0xFFE0, 0xFFE6},
                                          {0x1F300, 0x1F64F},
                                          {0x1F900, 0x1F9FF},
                                          {0x20000, 0x3FFFD}}};

/// Combining marks and zero-width characters of the scripts that are common.
constexpr std::array<Range, 14> kNarrow = {{{0x0300, 0x036F},
                                            {0x0483, 0x0489},
                                            {0x0591, 0x05BD},
                                            {0x0610, 0x061A},
                                            {0x064B, 0x065F},
                                            {0x093C, 0x093C},
                                            {0x0E34, 0x0E3A},
                                            {0x1AB0, 0x1AFF},
                                            {0x1DC0, 0x1DFF},
                                            {0x200B, 0x200F},
                                            {0x20D0, 0x20FF},
                                            {0x3099, 0x309A},
                                            {0xFE00, 0xFE0F},
                                            {0xFE20, 0xFE2F}}};

/// Characters that make a terminal show something other than what is there.
constexpr std::array<Range, 7> kUnsafe = {{{0x0000, 0x001F},
                                           {0x007F, 0x009F},
                                           {0x061C, 0x061C},
                                           {0x200E, 0x200F},
                                           {0x2028, 0x202E},
                                           {0x2066, 0x2069},
                                           {0xFEFF, 0xFEFF}}};

template <std::size_t Size>
bool holds(const std::array<Range, Size>& ranges, char32_t value) {
  return std::any_of(ranges.begin(), ranges.end(), [value](const Range& range) {
    return value >= range.first && value <= range.last;
  });
}

std::string escape_of(char32_t value) {
  switch (value) {
    case U'\n':
      return "\\n";
    case U'\t':
      return "\\t";
    case U'\r':
      return "\\r";
    default:
      break;
  }
  std::array<char, 16> text{};
  (void)std::snprintf(text.data(),
                      text.size(),
                      value < 0x100 ? "\\x%02x" : "\\u{%x}",
                      static_cast<unsigned int>(value));
  return text.data();
}

struct Lead {
  std::size_t bytes;
  char32_t bits;
  char32_t least;  ///< smaller values are overlong
};

std::optional<Lead> lead_of(std::uint8_t byte) {
  if (byte < 0x80) {
    return Lead{1, byte, 0};
  }
  if (byte >= 0xC2 && byte < 0xE0) {
    return Lead{2, byte & 0x1FU, 0x80};
  }
  if (byte >= 0xE0 && byte < 0xF0) {
    return Lead{3, byte & 0x0FU, 0x800};
  }
  if (byte >= 0xF0 && byte < 0xF5) {
    return Lead{4, byte & 0x07U, 0x10000};
  }
  return std::nullopt;
}

}  // namespace

std::optional<CodePoint> first_code_point(std::string_view text) {
  if (text.empty()) {
    return std::nullopt;
  }
  const auto lead = lead_of(static_cast<std::uint8_t>(text[0]));
  if (!lead || text.size() < lead->bytes) {
    return std::nullopt;
  }
  char32_t value = lead->bits;
  for (std::size_t i = 1; i < lead->bytes; ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    if ((byte & 0xC0U) != 0x80) {
      return std::nullopt;
    }
    value = (value << 6U) | (byte & 0x3FU);
  }
  if (value < lead->least || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
    return std::nullopt;
  }
  return CodePoint{value, lead->bytes};
}

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto point = first_code_point(text.substr(at));
    if (!point) {
      return at;
    }
    at += point->bytes;
  }
  return std::nullopt;
}

std::string escape_controls(std::string_view text, Lines lines) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const auto point = first_code_point(text);
    const bool kept = point && lines == Lines::keep && (text[0] == '\n' || text[0] == '\t');
    if (!point) {
      shown += escape_of(static_cast<std::uint8_t>(text[0]));
    } else if (!kept && holds(kUnsafe, point->value)) {
      shown += escape_of(point->value);
    } else {
      shown += text.substr(0, point->bytes);
    }
    text.remove_prefix(point ? point->bytes : 1);
  }
  return shown;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const auto point = first_code_point(text);
    if (!point) {
      ++width;
      text.remove_prefix(1);
      continue;
    }
    if (!holds(kNarrow, point->value)) {
      width += holds(kWide, point->value) ? 2 : 1;
    }
    text.remove_prefix(point->bytes);
  }
  return width;
}

}  // namespace goldmill
