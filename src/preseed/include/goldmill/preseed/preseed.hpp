// SPDX-License-Identifier: GPL-3.0-or-later
// Preseed file: answers to debconf's questions, those of Debian's installer and of packages, read
// as debconf-set-selections reads them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <goldmill/kickstart/profile.hpp>

namespace goldmill::preseed {

/// One answer: `OWNER QUESTION TYPE VALUE`.
struct Answer {
  int line = 0;      ///< the first of its lines
  std::string text;  ///< the first line, as written
  std::string owner;
  std::string question;
  std::string type;
  std::string value;  ///< of all its lines, without spaces around it
};

struct Reading {
  std::vector<Answer> answers;
  std::vector<kickstart::Problem> problems;
};

/// The largest file that is read, in bytes.
inline constexpr std::size_t kLargestFile = 1U << 20U;

/// Never fails: what is wrong is in the answer.
Reading read_preseed(std::string_view text);

/// Whether debconf knows such a type.
bool is_type(std::string_view word);

}  // namespace goldmill::preseed
