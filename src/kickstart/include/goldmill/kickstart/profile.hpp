// SPDX-License-Identifier: GPL-3.0-or-later
// Kickstart profile: the answer file of Anaconda, Fedora's and Red Hat's installer, read as
// pykickstart reads it, in whatever edition of the language it was written.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/kickstart/problems.hpp>

namespace goldmill::kickstart {

/// One command with what it was given.
struct Command {
  int line = 0;
  std::string text;  ///< as written, without spaces around it
  std::string name;  ///< as written: "partition"
  std::map<std::string, std::vector<std::string>> options = {};  ///< without "--"; a flag's is ""
  std::vector<std::string> words = {};

  bool has(const std::string& option) const { return options.contains(option); }
  /// All values in order; none when it is not there.
  std::vector<std::string> values(const std::string& option) const;
  /// The last value, or "".
  std::string value(const std::string& option) const;
};

/// A line of a section, as written.
struct SectionLine {
  int line = 0;
  std::string text;
  std::string file = {};  ///< in which it stands; "": the section's own
};

/// `%packages`, `%post`, ... with the lines to its `%end`.
struct Section {
  Command header;  ///< named "%post"
  std::vector<SectionLine> lines = {};
};

/// In the order in which they stand in the file.
struct Profile {
  std::string edition;  ///< the newest that reads it without a problem: "RHEL9"
  std::vector<Command> commands;
  std::vector<Section> sections;
  /// %include and %ksappend among the commands: one word, the file. Those of a section are its
  /// lines.
  std::vector<Command> includes;
};

struct Judgement {
  Profile profile;
  /// Empty: some edition reads it. Else those of the edition since RHEL 6 that finds least wrong,
  /// as Problems::list() has them.
  std::vector<Problem> problems;
};

/// The largest profile that is read, in bytes.
inline constexpr std::size_t kLargestProfile = 1U << 20U;

/// Reads the text of a profile; what it includes is not followed. Never fails: what is wrong is in
/// the answer.
Judgement read_profile(std::string_view text);

}  // namespace goldmill::kickstart
