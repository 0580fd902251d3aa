// SPDX-License-Identifier: GPL-3.0-or-later
#include "budget.hpp"

#include <algorithm>

namespace goldmill::launch {

Bytes memory_of_one(Bytes guest, bool warm) {
  constexpr Bytes kTouched = 160_MiB;
  constexpr Bytes kQemu = 64_MiB;
  constexpr Bytes kWarm = 40_MiB;
  return warm ? kWarm : Bytes{std::min(guest.value, kTouched.value) + kQemu.value};
}

Error no_room(Bytes available, Bytes each) {
  return {ErrorKind::unavailable,
          "not enough memory: " + to_text(available) + " are available, and each instance needs " +
              to_text(each)};
}

Budget budget_for(const LaunchRequest& request, Bytes available, int cores) {
  Budget budget;
  budget.available = request.memory_budget.value_or(available);
  budget.is_given = request.memory_budget.has_value();
  budget.each = memory_of_one(request.memory, request.warm);
  const std::uint64_t usable =
      request.memory_budget ? request.memory_budget->value : available.value / 10 * 9;
  budget.instances = static_cast<int>(std::min<std::uint64_t>(usable / budget.each.value, 100000));
  const int starts = std::max(1, 2 * std::max(1, cores) / std::max(1, request.cpus));
  budget.parallel = request.parallel > 0 ? request.parallel : starts;
  return budget;
}

std::string to_text(const Budget& budget) {
  return std::to_string(budget.parallel) + " at once, room for " +
         std::to_string(budget.instances) + " of " + to_text(budget.each) + " in " +
         to_text(budget.available) + (budget.is_given ? " of memory" : " of free memory");
}

}  // namespace goldmill::launch
