// SPDX-License-Identifier: GPL-3.0-or-later
#include "section_line.hpp"

#include "commands.hpp"
#include "words.hpp"

namespace goldmill::kickstart {

bool is_include(std::string_view line) {
  const std::string_view word = first_word(trimmed(line));
  return word == "%include" || word == "%ksappend";
}

Result<Command> read_include(std::string_view line, int number) {
  const auto words = TRY(split_words(line));
  if (words.size() != 2) {
    return Error{ErrorKind::invalid_input, words.front() + " takes one file"};
  }
  return Command{number, std::string(trimmed(line)), words.front(), {}, {words.back()}};
}

bool ends_section(std::string_view line, std::string_view section) {
  const std::string_view word = first_word(trimmed(line));
  const bool is_script = section != "%packages" && section != "%addon" && section != "%anaconda";
  return word == "%end" || (word.starts_with('%') && !is_include(line) &&
                            (!is_script || find_section(word) != nullptr));
}

Result<void> check_package_line(std::string_view line) {
  const std::string_view entry = trimmed(line.substr(0, line.find('#')));
  if (entry == "@" || entry == "-" || entry == "-@") {
    return Error{ErrorKind::invalid_input, "a name is missing behind '" + std::string(entry) + "'"};
  }
  return {};
}

}  // namespace goldmill::kickstart
