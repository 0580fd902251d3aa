// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <numeric>
#include <utility>

#include <goldmill/base/suggestion.hpp>

namespace goldmill {

namespace {
/// Letters that are missing, too many or wrong, and neighbours that are swapped: one edit each.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last;
  std::vector<std::size_t> last(b.size() + 1);
  std::iota(last.begin(), last.end(), 0U);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::vector<std::size_t> row(b.size() + 1, i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({replaced, last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    before_last = std::exchange(last, std::move(row));
  }
  return last[b.size()];
}

/// The candidates with the smallest distance, each once, if that is small enough for a slip.
std::vector<std::string> all_nearest(std::string_view name,
                                     const std::vector<std::string>& candidates) {
  std::vector<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(1, name.size() / 3);
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(name.substr(0, 200), candidate);
    if (distance < best_distance) {
      best.clear();
      best_distance = distance;
    }
    if (distance == best_distance && std::find(best.begin(), best.end(), candidate) == best.end()) {
      best.push_back(candidate);
    }
  }
  return best;
}

std::vector<std::string> without_repetition(const std::vector<std::string>& names) {
  std::vector<std::string> once;
  for (const std::string& name : names) {
    if (std::find(once.begin(), once.end(), name) == once.end()) {
      once.push_back(name);
    }
  }
  return once;
}

/// All keys of a recipe's part, or commands of a profile, are of use; all packages are not.
constexpr std::size_t kMostKnown = 100;
}  // namespace

std::string nearest(std::string_view name, const std::vector<std::string>& candidates) {
  const auto best = all_nearest(name, candidates);
  return best.empty() ? "" : best.front();
}

bool is_slip_of(std::string_view name, std::string_view candidate) {
  return edit_distance(name.substr(0, 200), candidate) == 1;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates) {
  const auto best = all_nearest(name, candidates);
  if (!best.empty() && best.size() <= 3) {
    std::string text = "did you mean '" + best[0] + "'";
    for (std::size_t index = 1; index < best.size(); ++index) {
      text += (index + 1 < best.size() ? ", '" : " or '") + best[index] + "'";
    }
    return text + "?";
  }
  const std::vector<std::string> names = without_repetition(candidates);
  const std::size_t shown = std::min(names.size(), kMostKnown);
  std::string list = "known:";
  for (std::size_t index = 0; index < shown; ++index) {
    list += (index == 0 ? " " : ", ") + names[index];
  }
  return names.size() == shown ? list
                               : list + " and " + std::to_string(names.size() - shown) + " more";
}

}  // namespace goldmill
