// SPDX-License-Identifier: GPL-3.0-or-later
// PuppetInputs: the files of this machine that one Puppet step reads, and where each stands while
// it runs.
#pragma once

#include <string>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/recipe/recipe.hpp>

#include "tool_room.hpp"

namespace goldmill::provision {

/// Errors: invalid_input (no hiera.yaml, a data directory that is not beside it, two modules of one
/// name); those of reading.
Result<std::vector<ToolInput>> puppet_inputs(const recipe::PuppetStep& step);

/// Debian's package of a module: "apache" -> "puppet-module-puppetlabs-apache".
std::string module_package(const std::string& name);

}  // namespace goldmill::provision
