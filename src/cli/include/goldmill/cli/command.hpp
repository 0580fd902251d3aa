// SPDX-License-Identifier: GPL-3.0-or-later
// Command: one command of the program as data. Parsing, help, completion and the man page all
// come from it; a command adds its run function and nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/cli/terminal.hpp>

namespace goldmill::cli {

/// What a shell offers for a value.
enum class Completes : std::uint8_t {
  nothing,
  files,
  directories,
  images,     ///< asked from `goldmill __complete images`
  instances,  ///< asked from `goldmill __complete instances`
  commands,   ///< names of the program's commands
};

struct Option {
  std::string name;        ///< "format", without dashes
  char letter = 0;         ///< 'f' for -f, or 0
  std::string value = {};  ///< what its value is called: "FORMAT"; "" for a switch
  std::string doc = {};    ///< one sentence
  std::vector<std::string> choices = {};
  std::string standard = {};  ///< the default, for people
  bool repeatable = false;
  Completes completes = Completes::nothing;
};

struct Argument {
  enum class Count : std::uint8_t { one, optional, any, some };
  std::string name;  ///< "IMAGE"
  std::string doc = {};
  Count count = Count::one;
  Completes completes = Completes::nothing;
  std::vector<std::string> choices = {};
};

struct Example {
  std::string command;
  std::string what;
};

struct ExitStatus {
  int status = 0;
  std::string what;
};

class Parsed;

struct Command {
  std::string name;
  std::string summary;                        ///< half a line, no full stop
  std::vector<std::string> description = {};  ///< paragraphs
  std::vector<Argument> arguments = {};
  std::vector<Option> options = {};  ///< beside --help, which every command has, and --json
  std::vector<Example> examples = {};
  std::vector<ExitStatus> exit_statuses = {};  ///< beside the ones per error kind
  std::vector<std::string> see_also = {};      ///< names of other commands
  /// After this many arguments everything is an argument, dashes or not: `ssh NAME ls -l`.
  std::optional<std::size_t> options_end_after = {};
  bool answers_json = true;  ///< has --json
  bool hidden = false;       ///< not in help, completion and man page
  std::function<int(const Parsed&, Terminal&)> run = {};
};

struct Program {
  std::string name;
  std::string version;
  std::string summary;
  std::vector<std::string> description = {};
  std::vector<Example> examples = {};
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< variable, meaning
  std::vector<Command> commands = {};
};

/// What the user wrote, checked against the command.
class Parsed {
 public:
  const std::vector<std::string>& arguments() const { return arguments_; }
  /// The argument, or "" when it was optional and is not there.
  std::string argument(std::size_t index) const;
  bool has(std::string_view option) const;
  /// The last value given, or nullopt.
  std::optional<std::string> value(std::string_view option) const;
  /// All values of a repeatable option, in order.
  std::vector<std::string> values(std::string_view option) const;
  /// Values KEY=VALUE as a map. Errors: invalid_input for one without '=' or a key given twice.
  Result<std::map<std::string, std::string>> pairs(std::string_view option) const;
  /// A whole number. Errors: invalid_input.
  Result<std::optional<int>> integer(std::string_view option, int lowest, int highest) const;
  bool json() const { return has("json"); }
  bool wants_help() const { return has("help"); }

 private:
  friend class Parser;
  std::vector<std::string> arguments_;
  std::map<std::string, std::vector<std::string>, std::less<>> options_;
};

/// Reads the words after the command's name: --name=value, --name value, -o value, -ovalue,
/// joined switches (-qv), `--` before words that are no options. Errors: invalid_input with "did
/// you mean". With --help nothing else is checked.
Result<Parsed> parse(const Program& program,
                     const Command& command,
                     std::span<const std::string> words);

const Command* find_command(const Program& program, std::string_view name);

/// The options that a command really has.
std::vector<Option> all_options(const Command& command);

/// main() without its argv[0]: finds the command, parses, runs; `--help`, `help COMMAND` and
/// `--version` are answered here. Returns the exit status.
int run_program(const Program& program, std::span<const std::string> words, Terminal& terminal);

}  // namespace goldmill::cli
