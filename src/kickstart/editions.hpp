// SPDX-License-Identifier: GPL-3.0-or-later
// Editions of the Kickstart language: it changed with each Fedora and Red Hat release.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace goldmill::kickstart {

struct Edition {
  std::string_view name;  ///< "RHEL7"
  int level;              ///< the Fedora release whose language it has
  int rhel;               ///< 0: none
};

/// Oldest first. A profile is right when one of them reads it without a problem.
const std::vector<Edition>& editions();

/// The editions that know a thing: "" (all), or a list of "8" (from Fedora 8 on), "3-13" and "R7"
/// (Red Hat's 7 too), by commas.
class Span {
 public:
  Span() = default;
  explicit Span(std::string_view text);
  bool contains(const Edition& edition) const;

 private:
  struct Range {
    int first;
    int last;
    bool rhel;
  };
  std::vector<Range> ranges_;
};

}  // namespace goldmill::kickstart
