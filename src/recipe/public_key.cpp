// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <sstream>

#include <goldmill/base/base64.hpp>
#include <goldmill/recipe/public_key.hpp>

namespace goldmill::recipe {

namespace {

constexpr std::array<std::string_view, 6> kKeyTypes = {"ssh-ed25519",
                                                       "ssh-rsa",
                                                       "ecdsa-sha2-nistp256",
                                                       "ecdsa-sha2-nistp384",
                                                       "ecdsa-sha2-nistp521",
                                                       "sk-ssh-ed25519@openssh.com"};

/// The blob's first field is the key's type once more (RFC 4253, 6.6): a cut or mangled line
/// does not have it.
bool blob_names_type(std::string_view blob, std::string_view type) {
  const auto bytes = decode_base64(blob);
  const std::string length{'\0', '\0', '\0', static_cast<char>(type.size())};
  return bytes && bytes->size() >= length.size() + type.size() + 32 &&
         bytes->starts_with(length + std::string(type));
}

}  // namespace

bool is_public_key(std::string_view line) {
  const std::size_t space = line.find(' ');
  const std::string_view type = line.substr(0, space);
  if (space == std::string_view::npos ||
      std::find(kKeyTypes.begin(), kKeyTypes.end(), type) == kKeyTypes.end()) {
    return false;
  }
  const std::string_view rest = line.substr(space + 1);
  return blob_names_type(rest.substr(0, rest.find(' ')), type);
}

bool is_private_key(std::string_view text) {
  return text.find("PRIVATE KEY") != std::string_view::npos;
}

std::vector<std::string> find_public_keys(const std::string& text) {
  std::vector<std::string> keys;
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.ends_with('\r')) {
      line.pop_back();
    }
    if (line.find_first_not_of(" \t") == std::string::npos || line.starts_with('#')) {
      continue;
    }
    if (!is_public_key(line)) {
      return {};
    }
    keys.push_back(line);
  }
  return keys;
}

}  // namespace goldmill::recipe
