// SPDX-License-Identifier: GPL-3.0-or-later
// Texts made from the table of commands: help, shell completion, man page.
#pragma once

#include <string>
#include <string_view>

#include <goldmill/cli/command.hpp>

namespace goldmill::cli {

/// `goldmill --help`: what it is, the commands, examples.
std::string help(const Program& program);
/// `goldmill COMMAND --help`: synopsis, what it does, arguments, options, examples, see also.
std::string help(const Program& program, const Command& command);
/// "goldmill export [OPTION]... IMAGE"
std::string synopsis(const Program& program, const Command& command);

/// For `bash`, `zsh` or `fish`. Errors: invalid_input.
Result<std::string> completion_script(const Program& program, std::string_view shell);

/// goldmill.1 in roff's man macros. `date` is "2026-11-23".
std::string man_page(const Program& program, std::string_view date);

}  // namespace goldmill::cli
