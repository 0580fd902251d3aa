// SPDX-License-Identifier: GPL-3.0-or-later
// "Did you mean": the nearest of the names that would have been right.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace goldmill {

/// The candidate with the smallest edit distance to `name`, or "" when none is near enough to
/// be a slip (a third of the name's length, at least 1 edit).
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

/// Whether one letter is missing, too many or wrong, or two neighbours are swapped.
bool is_slip_of(std::string_view name, std::string_view candidate);

/// "did you mean 'NEAREST'?", also with two or three that are equally near, or "known: a, b, c"
/// when nothing is near, of a hundred names at most.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace goldmill
