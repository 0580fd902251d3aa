// SPDX-License-Identifier: GPL-3.0-or-later
// What `keep_agent` adds to an image that has Puppet's agent: enabled, with a server, and with a
// name that each instance draws at its first start. Certificates are made on instances only.
#pragma once

#include <string>

#include <goldmill/plan/step_kind.hpp>

namespace goldmill::provision {

/// `server` may be "": Puppet's default. Errors: tool_failed (the image has no agent's unit).
Result<void> keep_puppet_agent(const std::string& server, plan::StepContext& context);

/// The program that names an instance; `image_name` is the host name of all that have no other.
std::string agent_identity_script(const std::string& server, const std::string& image_name);

}  // namespace goldmill::provision
