// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/kickstart/profile.hpp>

#include "command_line.hpp"
#include "commands.hpp"
#include "section_line.hpp"
#include "words.hpp"

namespace goldmill::kickstart {

namespace {

/// Reads a whole profile in one edition.
class Reading {
 public:
  Reading(const std::vector<std::string_view>& lines, const Edition& edition)
      : lines_(lines), edition_(edition) {
    judgement_.profile.edition = edition.name;
  }

  /// Ends early at the `enough`th problem: a better edition is known then.
  void run(std::size_t enough) {
    while (at_ < lines_.size() && problems_.count() < enough) {
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
  }

  const Problems& problems() const { return problems_; }
  Judgement judgement() && {
    judgement_.problems = problems_.list();
    return std::move(judgement_);
  }

 private:
  int number() const { return static_cast<int>(at_); }
  void problem(int line, std::string message) { problems_.add(line, std::move(message)); }
  void problem(int line, const Error& error) {
    problem(line, error.message + (error.hint.empty() ? "" : "; " + error.hint));
  }

  void include(std::string_view line) {
    if (auto read = read_include(line, number())) {
      judgement_.profile.includes.push_back(std::move(read).value());
    } else {
      problem(number(), read.error());
    }
  }

  /// Nothing when it is wrong.
  std::optional<Command> read(const CommandSpec& spec,
                              std::string_view line,
                              const std::vector<std::string>& words) {
    const Hints hints = problems_.is_full() ? Hints::none : Hints::given;
    auto read = read_command(spec, words, edition_, hints);
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
      return problem(number(), unknown(words->front()));
    }
    if (!spec->span.contains(edition_)) {
      return problem(number(), words->front() + " is no command of " + std::string(edition_.name));
    }
    if (auto read = this->read(*spec, line, *words)) {
      check_beside(*spec, *read);
      judgement_.profile.commands.push_back(*std::move(read));
    }
  }

  std::string unknown(const std::string& name) const {
    if (problems_.is_full()) {
      return "";
    }
    const std::string near = nearest(name, command_names());
    return "no command is called '" + name + "'" +
           (near.empty() ? "" : "; did you mean '" + near + "'?");
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
    body(begin, section, name);
    judgement_.profile.sections.push_back(std::move(section));
  }

  /// To its %end. Before Fedora 8 the next section or the end of the file ended it too.
  void body(int begin, Section& section, const std::string& name) {
    const bool needs_end = edition_.level >= 8;
    for (; at_ < lines_.size() && !ends_section(lines_[at_], name); ++at_) {
      const std::string_view line = lines_[at_];
      const int number = static_cast<int>(at_) + 1;
      const auto checked = is_include(line)      ? check_include(line, number)
                           : name == "%packages" ? check_package_line(line)
                                                 : Result<void>();
      if (!checked) {
        problem(number, checked.error());
      }
      section.lines.push_back({number, std::string(line)});
    }
    if (at_ < lines_.size() && first_word(trimmed(lines_[at_])) == "%end") {
      ++at_;
    } else if (needs_end) {
      problem(begin, name + " does not end with %end");
    }
  }

  static Result<void> check_include(std::string_view line, int number) {
    const auto read = read_include(line, number);
    return read ? Result<void>() : Result<void>(read.error());
  }

  const std::vector<std::string_view>& lines_;
  const Edition& edition_;
  Judgement judgement_;
  Problems problems_;
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
  std::optional<Reading> best;
  for (auto edition = editions().rbegin(); edition != editions().rend(); ++edition) {
    // Nobody writes for the first editions any more: they accept, and have no word on what is
    // wrong.
    const bool is_spoken = edition->level >= 13;
    const std::size_t enough = !best       ? std::numeric_limits<std::size_t>::max()
                               : is_spoken ? best->problems().count()
                                           : 1;
    Reading reading(lines, *edition);
    reading.run(enough);
    if (reading.problems().empty()) {
      return std::move(reading).judgement();
    }
    if (reading.problems().count() < enough) {
      best.emplace(std::move(reading));
    }
  }
  return std::move(*best).judgement();
}

}  // namespace goldmill::kickstart
