// SPDX-License-Identifier: GPL-3.0-or-later
// The man page, in the man(7) macros that groff and mandoc both read.
#include <goldmill/cli/help.hpp>

#include "usage.hpp"

namespace goldmill::cli {

namespace {

/// Text as roff takes it: backslashes and dashes as themselves, no line that starts a request.
std::string roff(std::string_view text) {
  std::string safe;
  for (const char letter : text) {
    switch (letter) {
      case '\\':
        safe += "\\e";
        break;
      case '-':
        safe += "\\-";
        break;
      case '\'':
        safe += "\\(aq";
        break;
      case '`':
        safe += "\\(ga";
        break;
      case '^':
        safe += "\\(ha";
        break;
      case '~':
        safe += "\\(ti";
        break;
      case '.':
        safe += safe.empty() || safe.back() == '\n' ? "\\&." : ".";
        break;
      default:
        safe += letter;
    }
  }
  return safe;
}

std::string bold(std::string_view text) {
  return "\\fB" + roff(text) + "\\fR";
}

std::string term(const std::string& name, const std::string& meaning) {
  return ".TP\n" + name + "\n" + (meaning.empty() ? "" : roff(meaning) + "\n");
}

std::string name_of(const Option& option) {
  std::string name = option.letter == 0 ? "" : bold(std::string("-") + option.letter) + ", ";
  name += bold("--" + option.name);
  return option.value.empty() ? name : name + "=\\fI" + roff(option.value) + "\\fR";
}

std::string example_terms(const std::vector<Example>& examples) {
  std::string text;
  for (const Example& example : examples) {
    text += term(bold(example.command), example.what);
  }
  return text;
}

std::string section_of(const Program& program, const Command& command) {
  std::string usage = bold(program.name + " " + command.name) + " [\\fIOPTION\\fR]...";
  for (const Argument& argument : command.arguments) {
    usage += " \\fI" + roff(usage_of(argument)) + "\\fR";
  }
  std::string text = ".SS " + bold(command.name) + "\n" + usage + "\n.PP\n";
  text += roff(sentence_of(command.summary)) + "\n";
  for (const std::string& paragraph : command.description) {
    text += ".PP\n" + roff(paragraph) + "\n";
  }
  for (const Argument& argument : command.arguments) {
    text += term("\\fI" + roff(usage_of(argument)) + "\\fR", meaning_of(argument));
  }
  for (const Option& option : command.options) {
    text += term(name_of(option), meaning_of(option));
  }
  text += example_terms(command.examples);
  for (const ExitStatus& status : command.exit_statuses) {
    text += term("Exit status " + std::to_string(status.status), status.what);
  }
  return text;
}

std::string upper(std::string text) {
  for (char& letter : text) {
    letter = letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
  }
  return text;
}

}  // namespace

std::string man_page(const Program& program, std::string_view date) {
  std::string text = ".\\\" Generated from the table of commands.\n.TH " + upper(program.name) +
                     " 1 " + std::string(date) + " \"" + program.name + " " + program.version +
                     "\" \"User Commands\"\n";
  text += ".SH NAME\n" + roff(program.name) + " \\- " + roff(program.summary) + "\n";
  text += ".SH SYNOPSIS\n" + bold(program.name) +
          " \\fICOMMAND\\fR [\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...\n";
  text += ".SH DESCRIPTION\n";
  for (const std::string& paragraph : program.description) {
    text += ".PP\n" + roff(paragraph) + "\n";
  }
  text += ".SH OPTIONS\nEvery command takes these.\n";
  for (const Option& option : all_options(Command{.name = "", .summary = ""})) {
    text += term(name_of(option), meaning_of(option));
  }
  text += ".SH COMMANDS\n";
  for (const Command* command : shown_commands(program)) {
    text += section_of(program, *command);
  }
  if (!program.examples.empty()) {
    text += ".SH EXAMPLES\n" + example_terms(program.examples);
  }
  if (!program.environment.empty()) {
    text += ".SH ENVIRONMENT\n";
    for (const auto& [variable, meaning] : program.environment) {
      text += term(bold(variable), meaning);
    }
  }
  text += ".SH EXIT STATUS\n";
  for (const ExitStatus& status : exit_statuses(nullptr)) {
    text += term(bold(std::to_string(status.status)), status.what);
  }
  return text;
}

}  // namespace goldmill::cli
