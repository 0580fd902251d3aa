// SPDX-License-Identifier: GPL-3.0-or-later
// The words of a command or a section's header -> options and words, as the edition has them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/kickstart/profile.hpp>

#include "commands.hpp"

namespace goldmill::kickstart {

/// Whether an error says which names would have been right: to look for those that are near takes
/// time, and a file may hold many wrong lines.
enum class Hints : std::uint8_t { none, given };

/// `words` begins with the command's name; where it stood is for the caller to say.
/// Errors: invalid_input.
Result<Command> read_command(const CommandSpec& command,
                             const std::vector<std::string>& words,
                             const Edition& edition,
                             Hints hints);

/// What a command's options must be together, by its rules and beyond them. Errors: invalid_input.
Result<void> check_rules(const CommandSpec& command, const Command& line, const Edition& edition);

}  // namespace goldmill::kickstart
