// SPDX-License-Identifier: GPL-3.0-or-later
// Pieces that help, man page and completion share.
#pragma once

#include <string>
#include <vector>

#include <goldmill/cli/command.hpp>

namespace goldmill::cli {

/// "-o, --output=FILE" or "    --update".
std::string usage_of(const Option& option);
/// "IMAGE", "[IMAGE]", "[WORD]...", "WORD...".
std::string usage_of(const Argument& argument);
/// The doc with default, choices and repetition in words.
std::string meaning_of(const Option& option);
std::string meaning_of(const Argument& argument);
/// All exit statuses of a command, or of every command when it is null.
std::vector<ExitStatus> exit_statuses(const Command* command);
/// "write an image" -> "Write an image."
std::string sentence_of(std::string summary);
/// The commands that people see.
std::vector<const Command*> shown_commands(const Program& program);

}  // namespace goldmill::cli
