// SPDX-License-Identifier: GPL-3.0-or-later
// Commands of the Kickstart language: the one table of what each takes, and in which editions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "editions.hpp"

namespace goldmill::kickstart {

struct OptionSpec {
  enum class Kind { flag, text, optional_text, integer, boolean, choice };
  std::string name;  ///< without "--"
  Kind kind = Kind::flag;
  std::vector<std::string> choices = {};  ///< of Kind::choice
  bool required = false;
  Span span = {};
};

/// How many words may stand beside the options.
struct WordsSpec {
  std::size_t least = 0;
  std::size_t most = 0;
  Span span = {};
};

/// What the options must be together. A name of "." stands for the words.
struct Rule {
  enum class Kind { exactly_one, at_least_one, at_most_one, needs };
  Kind kind = Kind::exactly_one;
  std::vector<std::string> names = {};  ///< needs: the first needs each of the others
  Span span = {};
};

struct CommandSpec {
  std::vector<std::string> names;  ///< "part" and "partition" are one
  Span span;
  bool is_raw = false;  ///< takes anything
  std::vector<WordsSpec> words;
  std::vector<OptionSpec> options;
  std::vector<Rule> rules;

  /// By its whole name or a beginning that no other known one has; nullptr, and the candidates.
  const OptionSpec* find(std::string_view name,
                         const Edition& edition,
                         std::vector<std::string>& candidates) const;
};

/// nullptr: no edition knows it.
const CommandSpec* find_command(std::string_view name);
/// Sections' headers are read as commands are: "%packages".
const CommandSpec* find_section(std::string_view name);
std::vector<std::string> command_names();

}  // namespace goldmill::kickstart
