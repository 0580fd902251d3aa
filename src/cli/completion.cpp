// SPDX-License-Identifier: GPL-3.0-or-later
// Completion scripts. Commands and options are written into them; names of images and instances
// are asked for when the key is pressed.
#include <algorithm>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/cli/help.hpp>
#include <goldmill/system/process.hpp>

#include "usage.hpp"

namespace goldmill::cli {

using system::shell_quoted;

namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

std::string command_names(const Program& program) {
  std::vector<std::string> names;
  for (const Command* command : shown_commands(program)) {
    names.push_back(command->name);
  }
  return joined(names);
}

std::string kind_of(Completes completes) {
  return completes == Completes::images ? "images" : "instances";
}

bool repeats(const Argument& argument) {
  return argument.count == Argument::Count::any || argument.count == Argument::Count::some;
}

// bash

std::string bash_values(const Program& program,
                        Completes completes,
                        const std::vector<std::string>& choices) {
  if (!choices.empty()) {
    return "COMPREPLY=($(compgen -W " + shell_quoted(joined(choices)) + " -- \"$cur\"))";
  }
  switch (completes) {
    case Completes::files:
      return "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\"))";
    case Completes::directories:
      return "compopt -o filenames; COMPREPLY=($(compgen -d -- \"$cur\"))";
    case Completes::images:
    case Completes::instances:
      return "COMPREPLY=($(compgen -W \"$(" + program.name + " __complete " + kind_of(completes) +
             " 2>/dev/null)\" -- \"$cur\"))";
    case Completes::commands:
      return "COMPREPLY=($(compgen -W " + shell_quoted(command_names(program)) + " -- \"$cur\"))";
    case Completes::nothing:
      break;
  }
  return ":";
}

std::string bash_command(const Program& program, const Command& command) {
  std::string options;
  std::string with_value;
  std::string values;
  for (const Option& option : all_options(command)) {
    options += (options.empty() ? "--" : " --") + option.name;
    if (option.value.empty()) {
      continue;
    }
    std::string names = "--" + option.name;
    if (option.letter != 0) {
      names += std::string("|-") + option.letter;
    }
    with_value += (with_value.empty() ? "" : "|") + names;
    values += "        " + names + ") " + bash_values(program, option.completes, option.choices) +
              "; return;;\n";
  }
  std::string text = "    " + command.name + ")\n";
  if (!values.empty()) {
    text += "      case $prev in\n" + values + "      esac\n";
  }
  text += "      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W " + shell_quoted(options) +
          " -- \"$cur\")); return; fi\n";
  text +=
      "      for ((i = 2; i < last; i++)); do\n"
      "        case ${words[i]} in\n";
  if (!with_value.empty()) {
    text += "          " + with_value + ") ((i++));;\n";
  }
  text +=
      "          -*) ;;\n          *) ((position++));;\n        esac\n      done\n"
      "      case $position in\n";
  for (std::size_t i = 0; i < command.arguments.size(); ++i) {
    const Argument& argument = command.arguments[i];
    text += "        " + (repeats(argument) ? std::string("*") : std::to_string(i)) + ") " +
            bash_values(program, argument.completes, argument.choices) + ";;\n";
  }
  return text + "        *) ;;\n      esac;;\n";
}

/// Bash splits words also at '=', '@' and ':' and replaces only what follows the last of these.
constexpr const char* kBashWords =
    "  local line=${COMP_LINE:0:COMP_POINT} words=() last cur prev kept='' mark\n"
    "  read -ra words <<<\"$line\"\n"
    "  [[ $line == *[[:space:]] ]] && words+=('')\n"
    "  last=$((${#words[@]} - 1))\n"
    "  cur=${words[last]} prev=${words[last - 1]}\n"
    "  [[ $cur == --*=* ]] && prev=${cur%%=*} cur=${cur#*=}\n"
    "  for mark in = @ :; do\n"
    "    if [[ $COMP_WORDBREAKS == *\"$mark\"* && ${cur#\"$kept\"} == *\"$mark\"* ]]; then\n"
    "      kept=${cur%\"${cur##*\"$mark\"}\"}\n"
    "    fi\n"
    "  done\n";

std::string bash_script(const Program& program) {
  const std::string function = "_" + program.name;
  std::string text = "# bash completion of " + program.name +
                     ", generated from its table of commands\n" + function + "() {\n" + kBashWords +
                     "  COMPREPLY=()\n  " + function + "_offer\n" +
                     "  COMPREPLY=(\"${COMPREPLY[@]#\"$kept\"}\")\n}\n" + function +
                     "_offer() {\n"
                     "  local position=0 i\n"
                     "  if ((last == 1)); then\n"
                     "    COMPREPLY=($(compgen -W " +
                     shell_quoted(command_names(program) + " --help --version") +
                     " -- \"$cur\"))\n"
                     "    return\n"
                     "  fi\n"
                     "  case ${words[1]} in\n";
  for (const Command* command : shown_commands(program)) {
    text += bash_command(program, *command);
  }
  return text + "    help) COMPREPLY=($(compgen -W " + shell_quoted(command_names(program)) +
         " -- \"$cur\"));;\n  esac\n}\ncomplete -F " + function + " " + program.name + "\n";
}

// zsh

/// Inside _arguments' specifications brackets and colons have a meaning of their own.
std::string zsh_text(std::string_view text) {
  std::string safe;
  for (const char letter : text) {
    if (letter == '[' || letter == ']' || letter == ':' || letter == '\\') {
      safe += '\\';
    }
    safe += letter;
  }
  return safe;
}

std::string zsh_action(const Program& program,
                       Completes completes,
                       const std::vector<std::string>& choices) {
  if (!choices.empty()) {
    return "(" + joined(choices) + ")";
  }
  switch (completes) {
    case Completes::files:
      return "_files";
    case Completes::directories:
      return "_files -/";
    case Completes::images:
    case Completes::instances:
      return "_" + program.name + "_" + kind_of(completes);
    case Completes::commands:
      return "(" + command_names(program) + ")";
    case Completes::nothing:
      break;
  }
  return " ";
}

std::string zsh_command(const Program& program, const Command& command) {
  std::string text = "    " + command.name + ")\n      _arguments -s";
  for (const Option& option : all_options(command)) {
    const std::string doc = "[" + zsh_text(option.doc) + "]";
    const std::string value = option.value.empty()
                                  ? ""
                                  : ":" + zsh_text(option.value) + ":" +
                                        zsh_action(program, option.completes, option.choices);
    const std::string star = option.repeatable ? "*" : "";
    text += " \\\n        " + shell_quoted(star + "--" + option.name +
                                           (option.value.empty() ? "" : "=") + doc + value);
    if (option.letter != 0) {
      text += " \\\n        " + shell_quoted(star + "-" + option.letter +
                                             (option.value.empty() ? "" : "+") + doc + value);
    }
  }
  for (std::size_t i = 0; i < command.arguments.size(); ++i) {
    const Argument& argument = command.arguments[i];
    const std::string position = repeats(argument) ? "*" : std::to_string(i + 1);
    text +=
        " \\\n        " + shell_quoted(position + ":" + zsh_text(argument.name) + ":" +
                                       zsh_action(program, argument.completes, argument.choices));
  }
  return text + "\n      ;;\n";
}

std::string zsh_script(const Program& program) {
  const std::string& name = program.name;
  std::string text = "#compdef " + name + "\n# zsh completion of " + name +
                     ", generated from its table of commands\n";
  for (const char* kind : {"images", "instances"}) {
    text += "_" + name + "_" + kind + "() {\n  local -a names\n  names=(${(f)\"$(" + name +
            " __complete " + kind + " 2>/dev/null)\"})\n  compadd -a names\n}\n";
  }
  text += "_" + name + "() {\n  local -a commands\n  commands=(\n";
  for (const Command* command : shown_commands(program)) {
    text += "    " + shell_quoted(command->name + ":" + command->summary) + "\n";
  }
  text +=
      "  )\n  if ((CURRENT == 2)); then\n    _describe command commands\n    return\n  fi\n"
      "  local command=${words[2]}\n  shift words\n  ((CURRENT--))\n  case $command in\n";
  for (const Command* command : shown_commands(program)) {
    text += zsh_command(program, *command);
  }
  return text + "  esac\n}\nif [[ $funcstack[1] == _" + name + " ]]; then\n  _" + name +
         " \"$@\"\nelse\n  compdef _" + name + " " + name + "\nfi\n";
}

// fish

std::string fish_action(const Program& program,
                        Completes completes,
                        const std::vector<std::string>& choices) {
  if (!choices.empty()) {
    return " -a " + shell_quoted(joined(choices));
  }
  switch (completes) {
    case Completes::files:
      return " -F";
    case Completes::directories:
      return " -a '(__fish_complete_directories)'";
    case Completes::images:
    case Completes::instances:
      return " -a '(" + program.name + " __complete " + kind_of(completes) + " 2>/dev/null)'";
    case Completes::commands:
      return " -a " + shell_quoted(command_names(program));
    case Completes::nothing:
      break;
  }
  return "";
}

std::string fish_command(const Program& program, const Command& command) {
  const std::string start =
      "complete -c " + program.name + " -n '__fish_seen_subcommand_from " + command.name + "'";
  std::string text;
  for (const Option& option : all_options(command)) {
    text += start + " -l " + option.name;
    if (option.letter != 0) {
      text += std::string(" -s ") + option.letter;
    }
    if (!option.value.empty()) {
      text += " -x" + fish_action(program, option.completes, option.choices);
    }
    text += " -d " + shell_quoted(option.doc) + "\n";
  }
  // fish does not tell positions apart: what any argument may be is offered.
  std::vector<std::string> seen;
  for (const Argument& argument : command.arguments) {
    const std::string action = fish_action(program, argument.completes, argument.choices);
    if (!action.empty() && std::find(seen.begin(), seen.end(), action) == seen.end()) {
      text += start + action + "\n";
      seen.push_back(action);
    }
  }
  return text;
}

std::string fish_script(const Program& program) {
  std::string text = "# fish completion of " + program.name +
                     ", generated from its table of commands\ncomplete -c " + program.name +
                     " -f\n";
  for (const Command* command : shown_commands(program)) {
    text += "complete -c " + program.name + " -n __fish_use_subcommand -a " + command->name +
            " -d " + shell_quoted(command->summary) + "\n";
  }
  for (const Command* command : shown_commands(program)) {
    text += fish_command(program, *command);
  }
  return text;
}

}  // namespace

Result<std::string> completion_script(const Program& program, std::string_view shell) {
  if (shell == "bash") {
    return bash_script(program);
  }
  if (shell == "zsh") {
    return zsh_script(program);
  }
  if (shell == "fish") {
    return fish_script(program);
  }
  return Error{ErrorKind::invalid_input,
               "no completion for '" + std::string(shell) + "'",
               did_you_mean(shell, {"bash", "zsh", "fish"})};
}

}  // namespace goldmill::cli
