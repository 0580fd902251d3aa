// SPDX-License-Identifier: GPL-3.0-or-later
// The Python files of ansible/, which run inside the sandbox and are part of this program.
#pragma once

#include <string_view>

namespace goldmill::provision {

std::string_view ansible_apply();
std::string_view ansible_become();
std::string_view ansible_callback();
std::string_view ansible_service();

}  // namespace goldmill::provision
