// SPDX-License-Identifier: GPL-3.0-or-later
// PackageInstallation: packages that a step installs with the tree's own apt, which gets them
// through goldmill.
#pragma once

#include <string>
#include <vector>

#include <goldmill/plan/step_kind.hpp>

namespace goldmill::provision {

/// `arguments` as apt-get takes them: NAME, NAME=VERSION, NAME- to remove one, a path of the
/// sandbox. Errors: unavailable (no packages can be had), tool_failed.
Result<void> install_packages(const std::vector<std::string>& arguments,
                              std::vector<plan::Bind> binds,
                              plan::StepContext& context);

/// Lets what a script runs get packages. Most install nothing: that there are none to be had is
/// told in the log only.
void open_for_scripts(plan::Execution& execution, plan::StepContext& context);

/// Ends the door and puts what came through into the step's result. Where `locks_none` is no,
/// a step that got nothing says nothing, so that its lock stays as it is.
enum class LocksNone : std::uint8_t { no, yes };
Result<Json> with_discovered(Json result, plan::StepContext& context, LocksNone locks_none);

}  // namespace goldmill::provision
