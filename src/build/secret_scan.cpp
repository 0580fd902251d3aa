// SPDX-License-Identifier: GPL-3.0-or-later
#include "secret_scan.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace goldmill::build {

bool may_hold_secrets(std::string_view path) {
  constexpr std::array<std::string_view, 4> kExamples = {
      "usr/share/doc/", "usr/share/info/", "usr/share/man/", "usr/share/locale/"};
  for (const std::string_view examples : kExamples) {
    if (path.starts_with(examples)) {
      return false;
    }
  }
  const bool is_program = path.starts_with("usr/");
  for (const std::string_view part : {"/test/", "/tests/", "/testing/", "/examples/", "/spec/"}) {
    if (is_program && path.find(part) != std::string_view::npos) {
      return false;
    }
  }
  return true;
}

namespace {
std::string_view line_at(std::string_view text, std::size_t start) {
  std::string_view line = text.substr(start, text.find('\n', start) - start);
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  return line;
}

bool is_key_text(std::string_view line) {
  if (line.starts_with("Proc-Type:") || line.starts_with("Comment:")) {
    return true;
  }
  return line.size() >= 32 && std::all_of(line.begin(), line.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '+' || c == '/' || c == '=';
         });
}
}  // namespace

bool has_private_key(std::string_view content) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  for (std::size_t at = content.find(kBegin); at != std::string_view::npos;
       at = content.find(kBegin, at + 1)) {
    const std::string_view line = line_at(content, at);
    const bool starts_line = at == 0 || content[at - 1] == '\n';
    const bool is_armour =
        line.ends_with("PRIVATE KEY-----") || line.ends_with("PRIVATE KEY BLOCK-----");
    const std::size_t below = content.find('\n', at);
    if (starts_line && is_armour && below != std::string_view::npos &&
        is_key_text(line_at(content, below + 1))) {
      return true;
    }
  }
  return false;
}

}  // namespace goldmill::build
