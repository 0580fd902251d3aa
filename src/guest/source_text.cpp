// SPDX-License-Identifier: GPL-3.0-or-later
#include "source_text.hpp"

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

}  // namespace goldmill::guest
