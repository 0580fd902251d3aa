// SPDX-License-Identifier: GPL-3.0-or-later
// Options of commands that something becomes of, while nothing becomes of the option.
#pragma once

#include <string>

#include <goldmill/kickstart/profile.hpp>

namespace goldmill::kickstart {

/// "--mtu, --vlanid: why; --label: why"; "" when all of the command's options have a meaning.
std::string dropped_options(const Command& command);

}  // namespace goldmill::kickstart
