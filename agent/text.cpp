// SPDX-License-Identifier: GPL-3.0-or-later
#include "text.hpp"

#include <algorithm>

#include <arpa/inet.h>

namespace goldmill::agent {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alphanumeric(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z') || is_digit(c);
}

std::uint32_t byte_at(std::string_view bytes, std::size_t index) {
  return index < bytes.size() ? static_cast<std::uint8_t>(bytes[index]) : 0U;
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         std::all_of(
             label.begin(), label.end(), [](char c) { return is_alphanumeric(c) || c == '-'; });
}

}  // namespace

std::string base64_encode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::uint32_t group =
        byte_at(bytes, i) << 16U | byte_at(bytes, i + 1) << 8U | byte_at(bytes, i + 2);
    text += kAlphabet[group >> 18U];
    text += kAlphabet[(group >> 12U) & 63U];
    text += i + 1 < bytes.size() ? kAlphabet[(group >> 6U) & 63U] : '=';
    text += i + 2 < bytes.size() ? kAlphabet[group & 63U] : '=';
  }
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) {
    return std::nullopt;
  }
  const std::size_t padding = text.ends_with("==") ? 2 : (text.ends_with("=") ? 1 : 0);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool padded = i + padding >= text.size();
    const std::size_t value = padded ? 0 : kAlphabet.find(text[i]);
    if (value == std::string_view::npos) {
      return std::nullopt;
    }
    group = group << 6U | static_cast<std::uint32_t>(value);
    if (i % 4 == 3) {
      bytes += static_cast<char>(group >> 16U & 255U);
      bytes += static_cast<char>(group >> 8U & 255U);
      bytes += static_cast<char>(group & 255U);
      group = 0;
    }
  }
  // Bits that the padding hides must be zero, or one value would have several texts.
  const bool clean = std::all_of(bytes.end() - static_cast<std::ptrdiff_t>(padding),
                                 bytes.end(),
                                 [](char c) { return c == 0; });
  if (!clean) {
    return std::nullopt;
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

std::string_view trimmed(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && is_blank(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && is_blank(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) {
      break;
    }
    text.remove_prefix(end + 1);
    if (text.empty()) {
      parts.emplace_back();
    }
  }
  return parts;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines = split(text, '\n');
  if (!lines.empty() && lines.back().empty()) {
    lines.pop_back();
  }
  return lines;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  // 19 digits hold nanoseconds since 1970 and still fit into 64 bits.
  if (text.empty() || text.size() > 19 || !std::all_of(text.begin(), text.end(), is_digit)) {
    return std::nullopt;
  }
  std::uint64_t number = 0;
  for (const char c : text) {
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return number;
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    text += kDigits[byte_at(bytes, i) >> 4U];
    text += kDigits[byte_at(bytes, i) & 15U];
  }
  return text;
}

bool is_host_name(std::string_view text) {
  const auto labels = split(text, '.');
  return !labels.empty() && text.size() <= 64 &&
         std::all_of(labels.begin(), labels.end(), is_label);
}

bool is_instance_id(std::string_view text) {
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alphanumeric(c) || c == '.' || c == '_' || c == ':' || c == '-';
  });
}

bool is_user_name(std::string_view text) {
  return !text.empty() && text.size() <= 32 && (is_lower(text[0]) || text[0] == '_') &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return is_lower(c) || is_digit(c) || c == '_' || c == '-';
         });
}

bool is_key_line(std::string_view text) {
  return text.size() > 16 && text.size() <= 16384 && text == trimmed(text) && text[0] != '#' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return static_cast<std::uint8_t>(c) >= 0x20 && c != 0x7F;
         });
}

bool is_mac(std::string_view text) {
  if (text.size() != 17) {
    return false;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool good =
        i % 3 == 2 ? text[i] == ':' : is_digit(text[i]) || (text[i] >= 'a' && text[i] <= 'f');
    if (!good) {
      return false;
    }
  }
  return true;
}

bool is_address(std::string_view text) {
  const std::string whole(text);
  char parsed[sizeof(in6_addr)];
  return whole.size() < 46 && whole.find('\0') == std::string::npos &&
         (inet_pton(AF_INET, whole.c_str(), parsed) == 1 ||
          inet_pton(AF_INET6, whole.c_str(), parsed) == 1);
}

bool is_address_with_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || !is_address(text.substr(0, slash))) {
    return false;
  }
  const auto length = parse_number(text.substr(slash + 1));
  const bool is_v6 = text.find(':') != std::string_view::npos;
  return length && *length <= (is_v6 ? 128U : 32U);
}

}  // namespace goldmill::agent
