// SPDX-License-Identifier: GPL-3.0-or-later
// Program: a fixed command of the guest's own; nothing that a host says becomes a word of it.
#pragma once

#include <string>
#include <vector>

#include <goldmill/base/result.hpp>

namespace goldmill::agent {

/// Runs it to its end: what it prints. Its exit status says little and is not told. Errors: it
/// cannot be started.
Result<std::string> run_program(const char* path, const std::vector<std::string>& words);

}  // namespace goldmill::agent
