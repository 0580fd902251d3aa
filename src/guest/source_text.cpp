// SPDX-License-Identifier: GPL-3.0-or-later
#include "source_text.hpp"

#include <algorithm>

namespace goldmill::guest {

std::string field_words(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += " " + word;
  }
  return text;
}

std::string without_slash(std::string uri) {
  while (uri.ends_with('/')) {
    uri.pop_back();
  }
  return uri;
}

std::string without_login(std::string text) {
  for (std::size_t at = text.find("://"); at != std::string::npos; at = text.find("://", at + 3)) {
    const std::size_t host = at + 3;
    const std::size_t end = std::min(text.find_first_of("/ \n", host), text.size());
    const std::size_t login = text.rfind('@', end);
    if (login != std::string::npos && login > host && login < end) {
      text.erase(host, login + 1 - host);
    }
  }
  return text;
}

}  // namespace goldmill::guest
