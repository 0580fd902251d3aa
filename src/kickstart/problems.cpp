// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/kickstart/problems.hpp>

namespace goldmill::kickstart {

void Problems::add(int line, std::string message) {
  if (++count_ <= kMost) {
    first_.push_back({line, std::move(message)});
  } else if (next_line_ == 0) {
    next_line_ = line;
  }
}

std::vector<Problem> Problems::list() const {
  std::vector<Problem> all = first_;
  if (count_ > all.size()) {
    all.push_back({next_line_, "and " + std::to_string(count_ - all.size()) + " more"});
  }
  return all;
}

}  // namespace goldmill::kickstart
