// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/kickstart/place.hpp>

namespace goldmill::kickstart {

std::string entry_path(const std::string& list, std::size_t index) {
  return list + "." + std::to_string(index);
}

}  // namespace goldmill::kickstart
