// SPDX-License-Identifier: GPL-3.0-or-later
// The Ruby files of puppet/, which run inside the sandbox and are part of this program.
#pragma once

#include <string_view>

namespace goldmill::provision {

std::string_view puppet_apply();
std::string_view puppet_guest_facts();
std::string_view puppet_systemd_service();
std::string_view puppet_live_service();

}  // namespace goldmill::provision
