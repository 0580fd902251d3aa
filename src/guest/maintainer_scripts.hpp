// SPDX-License-Identifier: GPL-3.0-or-later
// Maintainer scripts: how preinst scripts are run as dpkg runs them, and whose script failed.
#pragma once

#include <string>
#include <string_view>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::guest {

/// A shell script that runs `preinst install` of each package in `order` (the unpack worker's
/// answer) with the environment that dpkg gives, and stops at the first that fails. "" when
/// there is none.
std::string preinst_script(const Json& order, std::string_view dpkg_version);

/// Names the package and script in an Error that dpkg's or preinst_script's output came with.
Error explain_failure(Error error);

}  // namespace goldmill::guest
