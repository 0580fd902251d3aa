// SPDX-License-Identifier: GPL-3.0-or-later
// The agent's programs and files as bytes inside this program, for the step that installs them.
#pragma once

#include <string_view>

namespace goldmill::agent_image {

/// The static program for an architecture by Debian's name ("amd64", "arm64"); "" when this
/// build of goldmill has none.
std::string_view agent_binary(std::string_view architecture);

/// goldmill-agent.service, goldmill-agent-ready.service, sshd.conf; "" for another name.
std::string_view agent_file(std::string_view name);

}  // namespace goldmill::agent_image
