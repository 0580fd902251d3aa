// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <charconv>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/base/utf8.hpp>
#include <goldmill/cli/command.hpp>

namespace goldmill::cli {

namespace {

Error usage_error(const Program& program,
                  const Command& command,
                  std::string message,
                  std::string hint) {
  hint += (hint.empty() ? "" : "; ") + ("see '" + program.name + " " + command.name + " --help'");
  return Error{ErrorKind::invalid_input, std::move(message), std::move(hint)};
}

std::string as_quote(std::string_view text) {
  return "'" + escape_controls(text.substr(0, 100)) + "'";
}

}  // namespace

std::string Parsed::argument(std::size_t index) const {
  return index < arguments_.size() ? arguments_[index] : "";
}

bool Parsed::has(std::string_view option) const {
  return options_.find(option) != options_.end();
}

std::optional<std::string> Parsed::value(std::string_view option) const {
  const auto found = options_.find(option);
  if (found == options_.end() || found->second.empty()) {
    return std::nullopt;
  }
  return found->second.back();
}

std::vector<std::string> Parsed::values(std::string_view option) const {
  const auto found = options_.find(option);
  return found == options_.end() ? std::vector<std::string>() : found->second;
}

Result<std::map<std::string, std::string>> Parsed::pairs(std::string_view option) const {
  std::map<std::string, std::string> pairs;
  for (const std::string& value : values(option)) {
    const std::size_t equals = value.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error{ErrorKind::invalid_input,
                   "--" + std::string(option) + " " + as_quote(value) + " is not KEY=VALUE",
                   "write the key, =, and the value, which may be empty"};
    }
    if (!pairs.emplace(value.substr(0, equals), value.substr(equals + 1)).second) {
      return Error{
          ErrorKind::invalid_input,
          "--" + std::string(option) + " gives " + as_quote(value.substr(0, equals)) + " twice",
          "leave one of them out"};
    }
  }
  return pairs;
}

Result<std::optional<int>> Parsed::integer(std::string_view option, int lowest, int highest) const {
  const auto text = value(option);
  if (!text) {
    return std::optional<int>();
  }
  int number = 0;
  const char* end = text->data() + text->size();
  const auto [stop, failure] = std::from_chars(text->data(), end, number);
  if (failure != std::errc{} || stop != end || number < lowest || number > highest) {
    return Error{
        ErrorKind::invalid_input,
        "--" + std::string(option) + " " + as_quote(*text) + " is not possible",
        "give a whole number from " + std::to_string(lowest) + " to " + std::to_string(highest)};
  }
  return std::optional<int>(number);
}

std::vector<Option> all_options(const Command& command) {
  std::vector<Option> options = command.options;
  if (command.answers_json) {
    options.push_back({.name = "json", .doc = "Print one JSON object on standard output."});
  }
  options.push_back({.name = "help", .letter = 'h', .doc = "Show this help."});
  return options;
}

const Command* find_command(const Program& program, std::string_view name) {
  for (const Command& command : program.commands) {
    if (command.name == name) {
      return &command;
    }
  }
  return nullptr;
}

/// Goes through the words once.
class Parser {
 public:
  Parser(const Program& program, const Command& command, std::span<const std::string> words)
      : program_(program), command_(command), options_(all_options(command)), words_(words) {}

  Result<Parsed> run() {
    while (next_ < words_.size()) {
      const std::string& word = words_[next_++];
      if (options_end_ || word.size() < 2 || word[0] != '-') {
        add_argument(word);
      } else if (word == "--") {
        options_end_ = true;
      } else if (word.starts_with("--")) {
        TRY(take_long(word));
      } else {
        TRY(take_letters(word));
      }
    }
    if (!parsed_.wants_help()) {
      TRY(check_arguments());
    }
    return std::move(parsed_);
  }

 private:
  Error error(std::string message, std::string hint = {}) const {
    return usage_error(program_, command_, std::move(message), std::move(hint));
  }

  void add_argument(const std::string& word) {
    parsed_.arguments_.push_back(word);
    if (command_.options_end_after && parsed_.arguments_.size() >= *command_.options_end_after) {
      options_end_ = true;
    }
  }

  Result<void> add(const Option& option, std::optional<std::string> value) {
    const std::string shown = "--" + option.name;
    auto& values = parsed_.options_[option.name];
    if (!value) {
      return {};
    }
    if (!values.empty() && !option.repeatable) {
      return error("the option " + shown + " is given twice");
    }
    if (!option.choices.empty() &&
        std::find(option.choices.begin(), option.choices.end(), *value) == option.choices.end()) {
      return error(shown + " does not know " + as_quote(*value),
                   did_you_mean(*value, option.choices));
    }
    values.push_back(*std::move(value));
    return {};
  }

  Result<std::string> next_value(const std::string& shown, const Option& option) {
    if (next_ >= words_.size()) {
      return error("the option " + shown + " needs a value", "write " + shown + " " + option.value);
    }
    return words_[next_++];
  }

  Result<void> take_long(const std::string& word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
    std::vector<std::string> known;
    for (const Option& option : options_) {
      known.push_back("--" + option.name);
      if (option.name != name) {
        continue;
      }
      if (option.value.empty()) {
        if (equals != std::string::npos) {
          return error("the option --" + name + " takes no value");
        }
        return add(option, std::nullopt);
      }
      return add(option,
                 equals == std::string::npos ? TRY(next_value("--" + name, option))
                                             : word.substr(equals + 1));
    }
    return error("unknown option " + as_quote("--" + name), did_you_mean("--" + name, known));
  }

  Result<void> take_letters(const std::string& word) {
    for (std::size_t i = 1; i < word.size(); ++i) {
      const auto option = std::find_if(options_.begin(), options_.end(), [&](const Option& one) {
        return one.letter == word[i];
      });
      const std::string shown = std::string("-") + word[i];
      if (option == options_.end()) {
        return error("unknown option " + as_quote(shown));
      }
      if (!option->value.empty()) {
        const std::string rest = word.substr(i + 1);
        return add(*option, rest.empty() ? TRY(next_value(shown, *option)) : rest);
      }
      TRY(add(*option, std::nullopt));
    }
    return {};
  }

  Result<void> check_arguments() const {
    using Count = Argument::Count;
    std::size_t least = 0;
    std::size_t most = 0;
    for (const Argument& argument : command_.arguments) {
      least += argument.count == Count::one || argument.count == Count::some ? 1U : 0U;
      const bool many = argument.count == Count::any || argument.count == Count::some;
      most = many ? std::string::npos : most + (most == std::string::npos ? 0U : 1U);
      if (parsed_.arguments_.size() < least) {
        return error("'" + program_.name + " " + command_.name + "' needs " + argument.name,
                     argument.doc);
      }
    }
    if (parsed_.arguments_.size() > most) {
      return error("unexpected argument " + as_quote(parsed_.arguments_[most]));
    }
    return check_choices();
  }

  Result<void> check_choices() const {
    for (std::size_t i = 0; i < command_.arguments.size() && i < parsed_.arguments_.size(); ++i) {
      const std::vector<std::string>& choices = command_.arguments[i].choices;
      const std::string& word = parsed_.arguments_[i];
      if (!choices.empty() && std::find(choices.begin(), choices.end(), word) == choices.end()) {
        return error(command_.arguments[i].name + " cannot be " + as_quote(word),
                     did_you_mean(word, choices));
      }
    }
    return {};
  }

  const Program& program_;
  const Command& command_;
  std::vector<Option> options_;
  std::span<const std::string> words_;
  std::size_t next_ = 0;
  bool options_end_ = false;
  Parsed parsed_;
};

Result<Parsed> parse(const Program& program,
                     const Command& command,
                     std::span<const std::string> words) {
  return Parser(program, command, words).run();
}

}  // namespace goldmill::cli
