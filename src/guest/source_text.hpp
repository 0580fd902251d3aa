// SPDX-License-Identifier: GPL-3.0-or-later
// How archives are written in apt's sources: sources.list(5), deb822 style.
#pragma once

#include <string>
#include <vector>

namespace goldmill::guest {

/// A field's words, each after a space, as they follow the colon.
std::string field_words(const std::vector<std::string>& words);

/// apt takes URIs with and without a slash at the end for the same.
std::string without_slash(std::string uri);

/// A text to show: no URI in it has a user name or password any more.
std::string without_login(std::string text);

}  // namespace goldmill::guest
