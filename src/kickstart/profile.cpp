// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <optional>
#include <set>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/kickstart/profile.hpp>

#include "command_line.hpp"
#include "commands.hpp"
#include "words.hpp"

namespace goldmill::kickstart {

namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string_view first_word(std::string_view line) {
  return line.substr(0, std::min(line.find_first_of(" \t"), line.size()));
}

/// Reads a whole profile in one edition.
class Reading {
 public:
  Reading(const std::vector<std::string_view>& lines, const Edition& edition)
      : lines_(lines), edition_(edition) {
    judgement_.profile.edition = edition.name;
  }

  Judgement run() {
    while (at_ < lines_.size()) {
      const std::string_view line = trimmed(lines_[at_++]);
      if (line.empty() || line.front() == '#') {
        continue;
      }
      if (line.front() != '%') {
        command(line);
      } else if (is_include(line)) {
        include(line);
      } else {
        section(line);
      }
    }
    return std::move(judgement_);
  }

 private:
  int number() const { return static_cast<int>(at_); }
  void problem(int line, std::string message) {
    judgement_.problems.push_back({line, std::move(message)});
  }
  void problem(int line, const Error& error) {
    problem(line, error.message + (error.hint.empty() ? "" : "; " + error.hint));
  }

  static bool is_include(std::string_view line) {
    const std::string_view word = first_word(line);
    return word == "%include" || word == "%ksappend";
  }

  void include(std::string_view line) {
    const auto words = split_words(line);
    if (!words) {
      problem(number(), words.error());
    } else if (words->size() != 2) {
      problem(number(), words->front() + " takes one file");
    } else {
      judgement_.profile.includes.push_back(
          {number(), std::string(line), words->front(), {}, {words->back()}});
    }
  }

  /// Nothing when it is wrong.
  std::optional<Command> read(const CommandSpec& spec,
                              std::string_view line,
                              const std::vector<std::string>& words) {
    auto read = read_command(spec, words, edition_);
    const auto checked = read ? check_rules(spec, *read, edition_) : Result<void>(read.error());
    if (!checked) {
      problem(number(), checked.error());
      return std::nullopt;
    }
    read->line = number();
    read->text = line;
    return std::move(read).value();
  }

  void command(std::string_view line) {
    const auto words = split_words(line);
    if (!words) {
      return problem(number(), words.error());
    }
    if (words->empty()) {
      return;
    }
    const CommandSpec* spec = find_command(words->front());
    if (spec == nullptr) {
      return problem(number(),
                     Error{ErrorKind::invalid_input,
                           "no command is called '" + words->front() + "'",
                           did_you_mean(words->front(), command_names())});
    }
    if (!spec->span.contains(edition_)) {
      return problem(number(), words->front() + " is no command of " + std::string(edition_.name));
    }
    if (auto read = this->read(*spec, line, *words)) {
      check_beside(*spec, *read);
      judgement_.profile.commands.push_back(*std::move(read));
    }
  }

  void check_beside(const CommandSpec& spec, const Command& command);
  std::string identity(const std::string& name, const Command& command) const;

  void section(std::string_view line) {
    const auto words = split_words(line);
    const std::string name(first_word(line));
    const CommandSpec* spec = find_section(name);
    const int begin = number();
    Section section;
    if (spec == nullptr || !spec->span.contains(edition_)) {
      problem(begin, "no section is called " + name);
    } else if (!words) {
      problem(begin, words.error());
    } else if (auto header = read(*spec, line, *words)) {
      section.header = *std::move(header);
    }
    if (spec == nullptr) {
      return;
    }
    const bool is_script = name != "%packages" && name != "%addon" && name != "%anaconda";
    body(begin, name, is_script, section);
    if (name == "%packages") {
      check_packages(begin, section);
    }
    judgement_.profile.sections.push_back(std::move(section));
  }

  /// To its %end. Before Fedora 8 the next section or the end of the file ended it too.
  void body(int begin, const std::string& name, bool is_script, Section& section) {
    const bool needs_end = edition_.level >= 8;
    for (; at_ < lines_.size(); ++at_) {
      const std::string_view line = trimmed(lines_[at_]);
      const std::string_view word = first_word(line);
      if (word == "%end") {
        ++at_;
        return;
      }
      const bool is_header = word.starts_with('%') && !is_include(line) &&
                             (!is_script || find_section(word) != nullptr);
      if (is_header) {
        break;
      }
      section.lines.emplace_back(lines_[at_]);
    }
    if (needs_end) {
      problem(begin, name + " does not end with %end");
    }
  }

  void check_packages(int begin, const Section& section) {
    int line = begin;
    for (const std::string& text : section.lines) {
      ++line;
      const std::string_view entry = trimmed(std::string_view(text).substr(0, text.find('#')));
      if (entry == "@" || entry == "-" || entry == "-@") {
        problem(line, "a name is missing behind '" + std::string(entry) + "'");
      }
    }
  }

  const std::vector<std::string_view>& lines_;
  const Edition& edition_;
  Judgement judgement_;
  std::set<std::string> seen_;        // commands by name
  std::set<std::string> identities_;  // what may be said once
  std::size_t at_ = 0;                // the line after the one that is read
};

/// What commands of one kind may not say twice; "" when they may.
std::string Reading::identity(const std::string& name, const Command& command) const {
  if (name == "volgroup" || name == "btrfs") {
    return command.words.front();
  }
  if (name == "logvol") {
    return command.value("vgname") + "/" + command.value("name");
  }
  if (name == "dmraid") {
    return command.value("name") + " " + command.value("dev");
  }
  if (name == "realm") {
    return "join";
  }
  for (const auto& [of, option] : {std::pair("raid", "device"),
                                   std::pair("group", "name"),
                                   std::pair("user", "name"),
                                   std::pair("repo", "name"),
                                   std::pair("sshkey", "username"),
                                   std::pair("sshpw", "username"),
                                   std::pair("network", "device"),
                                   std::pair("multipath", "device"),
                                   std::pair("fcoe", "nic"),
                                   std::pair("zfcp", "devnum")}) {
    if (name == of) {
      return command.value(option);
    }
  }
  return "";
}

/// Together with the commands before it.
void Reading::check_beside(const CommandSpec& spec, const Command& command) {
  const std::string& name = spec.names.front();
  const std::string identity = this->identity(name, command);
  if (!identity.empty() && !identities_.insert(name + " " + identity).second) {
    problem(command.line, name + " of " + identity + " is said twice");
  }
  static const std::vector<std::set<std::string>> kExclusive = {
      {"ostreesetup", "ostreecontainer", "bootc"},
      {"autopart", "mount", "part"},
      {"autopart", "mount", "raid"},
      {"autopart", "mount", "volgroup"},
      {"autopart", "mount", "logvol"},
      {"autopart", "mount", "reqpart"}};
  for (const auto& names : kExclusive) {
    if (!names.contains(name)) {
      continue;
    }
    for (const std::string& other : names) {
      if (other != name && seen_.contains(other)) {
        problem(command.line, name + " and " + other + " do not go together");
        return;
      }
    }
  }
  seen_.insert(name);
}

}  // namespace

std::vector<std::string> Command::values(const std::string& option) const {
  const auto found = options.find(option);
  return found == options.end() ? std::vector<std::string>() : found->second;
}

std::string Command::value(const std::string& option) const {
  const auto all = values(option);
  return all.empty() ? "" : all.back();
}

Judgement read_profile(std::string_view text) {
  if (text.size() > kLargestProfile) {
    return {{}, {{1, "a profile has at most 1 MiB"}}};
  }
  const auto lines = lines_of(text);
  Judgement best;
  bool first = true;
  for (auto edition = editions().rbegin(); edition != editions().rend(); ++edition) {
    Judgement judgement = Reading(lines, *edition).run();
    if (judgement.problems.empty()) {
      return judgement;
    }
    // Nobody writes for the first editions any more: they accept, and have no word on what is
    // wrong.
    const bool is_spoken = edition->level >= 13;
    if (first || (is_spoken && judgement.problems.size() < best.problems.size())) {
      best = std::move(judgement);
      first = false;
    }
  }
  return best;
}

}  // namespace goldmill::kickstart
