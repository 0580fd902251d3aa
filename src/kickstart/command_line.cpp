// SPDX-License-Identifier: GPL-3.0-or-later
#include "command_line.hpp"

#include <algorithm>
#include <charconv>

#include <goldmill/base/suggestion.hpp>

namespace goldmill::kickstart {

namespace {
using Kind = OptionSpec::Kind;

Error wrong(std::string message, std::string hint = {}) {
  return Error{ErrorKind::invalid_input, std::move(message), std::move(hint)};
}

bool is_integer(std::string_view text) {
  text.remove_prefix(!text.empty() && (text.front() == '-' || text.front() == '+') ? 1 : 0);
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char digit) {
    return digit >= '0' && digit <= '9';
  });
}

bool is_boolean(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char letter) {
    return static_cast<char>(letter >= 'A' && letter <= 'Z' ? letter + 32 : letter);
  });
  for (const char* known : {"on", "yes", "true", "1", "off", "no", "false", "0"}) {
    if (text == known) {
      return true;
    }
  }
  return false;
}

/// As Python's argparse takes them: "-1" and a word with a space in its name are values.
bool is_option(std::string_view word) {
  return word.size() > 1 && word.front() == '-' && !is_integer(word) &&
         word.substr(0, word.find('=')).find(' ') == std::string_view::npos;
}

class Reader {
 public:
  Reader(const CommandSpec& command,
         const std::vector<std::string>& words,
         const Edition& edition,
         Hints hints)
      : command_(command), given_(words), edition_(edition), hints_(hints) {}

  Result<Command> run() {
    line_.name = given_.front();
    if (command_.is_raw) {
      line_.words.assign(given_.begin() + 1, given_.end());
      return std::move(line_);
    }
    for (at_ = 1; at_ < given_.size();) {
      const std::string& word = given_[at_++];
      if (is_option(word)) {
        TRY(option(word));
      } else {
        line_.words.push_back(word);
      }
    }
    TRY(check_words());
    TRY(check_required());
    return std::move(line_);
  }

 private:
  Result<void> option(const std::string& word) {
    const std::size_t sign = word.find('=');
    const std::string name = word.substr(0, sign);
    std::vector<std::string> candidates;
    const OptionSpec* option =
        name.starts_with("--") ? command_.find(name.substr(2), edition_, candidates) : nullptr;
    if (option == nullptr) {
      return unknown(name, candidates);
    }
    std::vector<std::string>& values = line_.options[option->name];
    if (option->kind == Kind::flag) {
      values.emplace_back();
      return sign == std::string::npos ? Result<void>() : wrong(name + " takes no value");
    }
    if (sign != std::string::npos) {
      values.push_back(word.substr(sign + 1));
    } else if (at_ < given_.size() && !is_option(given_[at_])) {
      values.push_back(given_[at_++]);
    } else if (option->kind == Kind::optional_text) {
      values.emplace_back();
    } else {
      return wrong(name + " needs a value");
    }
    return check_value(*option, values.back());
  }

  Result<void> unknown(const std::string& name, const std::vector<std::string>& candidates) const {
    if (candidates.size() > 1) {
      return wrong(line_.name + ": " + name + " may be --" + candidates[0] + " or --" +
                   candidates[1]);
    }
    if (hints_ == Hints::none) {
      return wrong("");
    }
    std::vector<std::string> known;
    for (const OptionSpec& option : command_.options) {
      if (option.span.contains(edition_)) {
        known.push_back("--" + option.name);
      }
    }
    return wrong(line_.name + " has no option " + name,
                 known.empty() ? "it has none" : did_you_mean(name, known));
  }

  Result<void> check_value(const OptionSpec& option, const std::string& value) const {
    const std::string said = "--" + option.name + " cannot be '" + value + "'";
    if (option.kind == Kind::integer && !is_integer(value)) {
      return wrong(said, "give a whole number");
    }
    if (option.kind == Kind::boolean && !is_boolean(value)) {
      return wrong(said, "give on or off");
    }
    const auto& choices = option.choices;
    if (option.kind == Kind::choice &&
        std::find(choices.begin(), choices.end(), value) == choices.end()) {
      return wrong(said, hints_ == Hints::none ? "" : did_you_mean(value, choices));
    }
    return {};
  }

  Result<void> check_words() const {
    for (const WordsSpec& words : command_.words) {
      if (!words.span.contains(edition_)) {
        continue;
      }
      if (line_.words.size() < words.least) {
        return wrong(line_.name + " needs more words");
      }
      if (line_.words.size() > words.most) {
        return wrong(line_.name + " does not take '" + line_.words[words.most] + "'");
      }
      return {};
    }
    return {};
  }

  Result<void> check_required() const {
    for (const OptionSpec& option : command_.options) {
      if (option.required && option.span.contains(edition_) && line_.value(option.name).empty()) {
        return wrong(line_.name + " needs --" + option.name);
      }
    }
    return {};
  }

  const CommandSpec& command_;
  const std::vector<std::string>& given_;
  const Edition& edition_;
  Hints hints_;
  Command line_;
  std::size_t at_ = 1;
};
}  // namespace

Result<Command> read_command(const CommandSpec& command,
                             const std::vector<std::string>& words,
                             const Edition& edition,
                             Hints hints) {
  return Reader(command, words, edition, hints).run();
}

}  // namespace goldmill::kickstart
