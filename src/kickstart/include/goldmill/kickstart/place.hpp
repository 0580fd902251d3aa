// SPDX-License-Identifier: GPL-3.0-or-later
// Place: the line of an answer file that a value of the recipe comes from.
#pragma once

#include <cstddef>
#include <map>
#include <string>

namespace goldmill::kickstart {

struct Place {
  std::string file;  ///< as given, or as it was included
  int line = 0;      ///< 0: the file as a whole
};

/// By the value's path in the recipe, "baseline.users.0.name"; what lies below a path comes from
/// its place too, unless it has one itself.
using Places = std::map<std::string, Place>;

/// "packages.3".
std::string entry_path(const std::string& list, std::size_t index);

}  // namespace goldmill::kickstart
