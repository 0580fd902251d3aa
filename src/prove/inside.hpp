// SPDX-License-Identifier: GPL-3.0-or-later
// The checks inside a running machine, each a command by SSH and what its answer means.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <goldmill/prove/prove.hpp>
#include <goldmill/system/process.hpp>

#include "expectations.hpp"

namespace goldmill::prove {

/// Runs a shell command line as the machine's root.
using Shell = std::function<Result<system::Output>(const std::string& command)>;

std::vector<Row> check_inside(const Shell& shell,
                              const Expectations& expected,
                              const std::string& machine_id);

}  // namespace goldmill::prove
