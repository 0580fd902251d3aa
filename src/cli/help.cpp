// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/base/utf8.hpp>
#include <goldmill/cli/help.hpp>

#include "usage.hpp"

namespace goldmill::cli {

namespace {

constexpr std::size_t kWidth = 79;

/// Words of `text` on lines of at most kWidth columns, each behind `indent` spaces.
std::string wrapped(const std::string& text, std::size_t indent) {
  std::string result;
  std::string line;
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find(' ', start), text.size());
    const std::string word = text.substr(start, end - start);
    start = end + 1;
    if (!line.empty() && indent + display_width(line) + 1 + display_width(word) > kWidth) {
      result += std::string(indent, ' ') + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return result + std::string(indent, ' ') + line + "\n";
}

using Rows = std::vector<std::pair<std::string, std::string>>;

/// Names at the left, what they mean in a column beside them.
std::string in_columns(const Rows& rows) {
  std::size_t width = 0;
  for (const auto& [name, meaning] : rows) {
    width = std::max(width, std::min<std::size_t>(display_width(name), 26));
  }
  std::string text;
  for (const auto& [name, meaning] : rows) {
    const std::string lines = wrapped(meaning, width + 4);
    if (display_width(name) > width) {
      text += "  " + name + "\n" + lines;
    } else {
      text += "  " + name + std::string(width - display_width(name), ' ') + "  " +
              lines.substr(width + 4);
    }
  }
  return text;
}

std::string examples_of(const std::vector<Example>& examples) {
  std::string text;
  for (const Example& example : examples) {
    text += "  " + example.command + "\n" + (example.what.empty() ? "" : wrapped(example.what, 6));
  }
  return text;
}

std::string paragraphs(const std::vector<std::string>& description) {
  std::string text;
  for (const std::string& paragraph : description) {
    text += "\n" + wrapped(paragraph, 0);
  }
  return text;
}

}  // namespace

std::string usage_of(const Option& option) {
  std::string text =
      option.letter == 0 ? std::string("    ") : std::string("-") + option.letter + ", ";
  text += "--" + option.name;
  return option.value.empty() ? text : text + "=" + option.value;
}

std::string usage_of(const Argument& argument) {
  switch (argument.count) {
    case Argument::Count::optional:
      return "[" + argument.name + "]";
    case Argument::Count::any:
      return "[" + argument.name + "]...";
    case Argument::Count::some:
      return argument.name + "...";
    case Argument::Count::one:
      break;
  }
  return argument.name;
}

namespace {
std::string with_commas(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : ", ") + word;
  }
  return text;
}
}  // namespace

std::string meaning_of(const Option& option) {
  std::string text = option.doc;
  if (!option.choices.empty()) {
    text += " One of: " + with_commas(option.choices) + ".";
  }
  if (!option.standard.empty()) {
    text += " Default: " + option.standard + ".";
  }
  if (option.repeatable) {
    text += " May be given several times.";
  }
  return text;
}

std::string meaning_of(const Argument& argument) {
  return argument.choices.empty()
             ? argument.doc
             : argument.doc + " One of: " + with_commas(argument.choices) + ".";
}

std::vector<ExitStatus> exit_statuses(const Command* command) {
  std::vector<ExitStatus> statuses = {{0, "Success."}};
  if (command != nullptr) {
    statuses.insert(statuses.end(), command->exit_statuses.begin(), command->exit_statuses.end());
  } else {
    statuses.push_back({1, "The command worked, and the answer is no (a promise is not kept)."});
  }
  const std::vector<std::pair<ErrorKind, std::string>> kinds = {
      {ErrorKind::invalid_input, "The command line, recipe or another input is wrong."},
      {ErrorKind::not_found, "A name, file or version does not exist."},
      {ErrorKind::conflict, "It exists already, is in use or contradicts another thing."},
      {ErrorKind::unavailable, "A machine, archive or feature cannot be had now."},
      {ErrorKind::tool_failed, "A program or step that was run failed."},
      {ErrorKind::no_space, "Disk or memory is full."},
      {ErrorKind::cancelled, "It was stopped, or a limit of time passed."},
      {ErrorKind::corrupt, "Bytes are not what their digest or signature says."},
      {ErrorKind::internal, "A bug of the program."}};
  for (const auto& [kind, what] : kinds) {
    statuses.push_back({exit_status(kind), what});
  }
  return statuses;
}

std::string sentence_of(std::string summary) {
  if (!summary.empty() && summary[0] >= 'a' && summary[0] <= 'z') {
    summary[0] = static_cast<char>(summary[0] - 'a' + 'A');
  }
  return summary + ".";
}

std::vector<const Command*> shown_commands(const Program& program) {
  std::vector<const Command*> shown;
  for (const Command& command : program.commands) {
    if (!command.hidden) {
      shown.push_back(&command);
    }
  }
  return shown;
}

std::string synopsis(const Program& program, const Command& command) {
  std::string text = program.name + " " + command.name + " [OPTION]...";
  for (const Argument& argument : command.arguments) {
    text += " " + usage_of(argument);
  }
  return text;
}

std::string help(const Program& program) {
  std::string text = program.name + ": " + program.summary + "\n\nUsage: " + program.name +
                     " COMMAND [OPTION]... [ARGUMENT]...\n";
  text += paragraphs(program.description);
  Rows rows;
  for (const Command* command : shown_commands(program)) {
    rows.emplace_back(command->name, command->summary);
  }
  text += "\nCommands:\n" + in_columns(rows);
  if (!program.examples.empty()) {
    text += "\nExamples:\n" + examples_of(program.examples);
  }
  rows.clear();
  for (const auto& [variable, meaning] : program.environment) {
    rows.emplace_back(variable, meaning);
  }
  if (!rows.empty()) {
    text += "\nEnvironment:\n" + in_columns(rows);
  }
  return text + "\n'" + program.name + " COMMAND --help' explains a command, 'man " + program.name +
         "' all of them.\n";
}

std::string help(const Program& program, const Command& command) {
  std::string text =
      "Usage: " + synopsis(program, command) + "\n\n" + wrapped(sentence_of(command.summary), 0);
  text += paragraphs(command.description);
  Rows rows;
  for (const Argument& argument : command.arguments) {
    rows.emplace_back(usage_of(argument), meaning_of(argument));
  }
  if (!rows.empty()) {
    text += "\nArguments:\n" + in_columns(rows);
  }
  rows.clear();
  for (const Option& option : all_options(command)) {
    rows.emplace_back(usage_of(option), meaning_of(option));
  }
  text += "\nOptions:\n" + in_columns(rows);
  if (!command.examples.empty()) {
    text += "\nExamples:\n" + examples_of(command.examples);
  }
  rows.clear();
  for (const ExitStatus& status : command.exit_statuses) {
    rows.emplace_back(std::to_string(status.status), status.what);
  }
  if (!rows.empty()) {
    text += "\nExit status, beside those in 'man " + program.name + "':\n" + in_columns(rows);
  }
  std::string others;
  for (const std::string& other : command.see_also) {
    others += (others.empty() ? "'" : ", '") + program.name + " " + other + "'";
  }
  return others.empty() ? text : text + "\nSee also: " + others + "\n";
}

}  // namespace goldmill::cli
