// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/base/utf8.hpp>
#include <goldmill/cli/command.hpp>
#include <goldmill/cli/help.hpp>

namespace goldmill::cli {

namespace {

Error unknown_command(const Program& program, const std::string& name) {
  std::vector<std::string> names;
  for (const Command& command : program.commands) {
    if (!command.hidden) {
      names.push_back(command.name);
    }
  }
  const bool is_option = name.starts_with("-");
  return Error{ErrorKind::invalid_input,
               std::string(is_option ? "unknown option '" : "there is no command '") +
                   escape_controls(name.substr(0, 100)) + "'",
               is_option ? "options follow the command; see '" + program.name + " --help'"
                         : did_you_mean(name, names)};
}

int show_help(const Program& program, std::span<const std::string> words, Terminal& terminal) {
  if (words.empty()) {
    terminal.print(help(program));
    return 0;
  }
  const Command* command = find_command(program, words[0]);
  if (command == nullptr) {
    return terminal.fail(unknown_command(program, words[0]));
  }
  terminal.print(help(program, *command));
  return 0;
}

}  // namespace

int run_program(const Program& program, std::span<const std::string> words, Terminal& terminal) {
  // Also before anything is understood: a script that asks for JSON gets its error as JSON.
  const auto options_end = std::find(words.begin(), words.end(), "--");
  terminal.set_json(std::find(words.begin(), options_end, "--json") != options_end);
  if (words.empty()) {
    terminal.print(help(program));
    return exit_status(ErrorKind::invalid_input);
  }
  const std::string& name = words[0];
  if (name == "--help" || name == "-h" || name == "help") {
    return show_help(program, words.subspan(1), terminal);
  }
  if (name == "--version") {
    terminal.print(program.name + " " + program.version + "\n");
    return 0;
  }
  const Command* command = find_command(program, name);
  if (command == nullptr) {
    return terminal.fail(unknown_command(program, name));
  }
  const auto parsed = parse(program, *command, words.subspan(1));
  if (!parsed) {
    return terminal.fail(parsed.error());
  }
  if (parsed->wants_help()) {
    terminal.print(help(program, *command));
    return 0;
  }
  terminal.set_json(parsed->json());
  return command->run(*parsed, terminal);
}

}  // namespace goldmill::cli
