// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/base/xml.hpp>

namespace goldmill {

std::string xml_escaped(std::string_view text, char quote) {
  std::string xml;
  for (const char letter : text) {
    if (letter == '&') {
      xml += "&amp;";
    } else if (letter == '<') {
      xml += "&lt;";
    } else if (letter == '>') {
      xml += "&gt;";
    } else if (letter == quote) {
      xml += quote == '"' ? "&quot;" : "&apos;";
    } else {
      xml += letter;
    }
  }
  return xml;
}

}  // namespace goldmill
