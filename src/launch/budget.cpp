// SPDX-License-Identifier: GPL-3.0-or-later
#include "budget.hpp"

#include <algorithm>

namespace goldmill::launch {

Budget budget_for(Bytes memory, int parallel_wished, Bytes available, int cores) {
  constexpr Bytes kTouched = 160_MiB;
  constexpr Bytes kQemu = 64_MiB;
  Budget budget;
  budget.available = available;
  budget.each = Bytes{std::min(memory.value, kTouched.value) + kQemu.value};
  budget.instances = static_cast<int>(
      std::min<std::uint64_t>(available.value / 10 * 9 / budget.each.value, 100000));
  budget.parallel = parallel_wished > 0 ? parallel_wished : std::max(1, cores) * 2;
  return budget;
}

}  // namespace goldmill::launch
