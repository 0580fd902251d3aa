// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

namespace goldmill {

/// As an element's text, or as an attribute's value in this kind of quotes.
std::string xml_escaped(std::string_view text, char quote);

}  // namespace goldmill
