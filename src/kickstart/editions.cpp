// SPDX-License-Identifier: GPL-3.0-or-later
#include "editions.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include <goldmill/base/result.hpp>

namespace goldmill::kickstart {

namespace {
int release_of(std::string_view text) {
  int value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  GOLDMILL_ASSERT(parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size());
  return value;
}
}  // namespace

const std::vector<Edition>& editions() {
  static const std::vector<Edition> kEditions = {{"FC3", 3, 0},
                                                 {"RHEL5", 6, 5},
                                                 {"F8", 8, 0},
                                                 {"RHEL6", 13, 6},
                                                 {"RHEL7", 19, 7},
                                                 {"F20", 20, 0},
                                                 {"RHEL8", 28, 8},
                                                 {"RHEL9", 34, 9},
                                                 {"F34", 34, 0},
                                                 {"RHEL10", 40, 10},
                                                 {"F45", 45, 0}};
  return kEditions;
}

Span::Span(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (part.front() == 'R') {
      ranges_.push_back({release_of(part.substr(1)), release_of(part.substr(1)), true});
      continue;
    }
    const std::size_t dash = part.find('-');
    const int last = dash == std::string_view::npos ? std::numeric_limits<int>::max()
                                                    : release_of(part.substr(dash + 1));
    ranges_.push_back({release_of(part.substr(0, dash)), last, false});
  }
}

bool Span::contains(const Edition& edition) const {
  return ranges_.empty() || std::any_of(ranges_.begin(), ranges_.end(), [&](const Range& range) {
           const int value = range.rhel ? edition.rhel : edition.level;
           return value >= range.first && value <= range.last;
         });
}

}  // namespace goldmill::kickstart
