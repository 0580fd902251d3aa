// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdint>

#include <goldmill/base/base64.hpp>

namespace goldmill {

namespace {
constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}  // namespace

std::string base64(std::string_view bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group =
          group << 8U | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (unsigned i = 0; i < 4; ++i) {
      const bool padding = i > 1 && at + i > bytes.size();
      text += padding ? '=' : kDigits[group >> (18U - 6U * i) & 63U];
    }
  }
  return text;
}

Result<std::string> decode_base64(std::string_view text) {
  const auto damaged = [] { return Error{ErrorKind::corrupt, "not base64"}; };
  if (text.size() % 4 != 0) {
    return damaged();
  }
  std::string bytes;
  for (std::size_t at = 0; at < text.size(); at += 4) {
    std::uint32_t group = 0;
    std::size_t padding = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const char c = text[at + i];
      const std::size_t digit = kDigits.find(c);
      const bool may_pad = at + 4 == text.size() && i >= 2;
      if (c == '=' && may_pad) {
        ++padding;
      } else if (digit == std::string_view::npos || padding > 0) {
        return damaged();
      }
      group = group << 6U | (c == '=' ? 0U : static_cast<std::uint32_t>(digit));
    }
    for (std::size_t i = 0; i < 3 - padding; ++i) {
      bytes += static_cast<char>(group >> (16U - 8U * static_cast<unsigned>(i)));
    }
  }
  return bytes;
}

}  // namespace goldmill
