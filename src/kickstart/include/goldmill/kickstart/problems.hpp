// SPDX-License-Identifier: GPL-3.0-or-later
// Problems: what is wrong with an answer file, line by line, and not more of it than somebody
// reads.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace goldmill::kickstart {

/// A thing that is wrong on a line; lines count from 1.
struct Problem {
  int line = 0;
  std::string message;
};

class Problems {
 public:
  static constexpr std::size_t kMost = 100;

  void add(int line, std::string message);
  /// What is added now is only counted: its message need not be made.
  bool is_full() const { return first_.size() >= kMost; }
  std::size_t count() const { return count_; }
  bool empty() const { return count_ == 0; }
  /// The first of them, and where there are more one that says how many, on the line of the next.
  std::vector<Problem> list() const;

 private:
  std::vector<Problem> first_;
  std::size_t count_ = 0;
  int next_line_ = 0;
};

}  // namespace goldmill::kickstart
