// SPDX-License-Identifier: GPL-3.0-or-later
#include "budget.hpp"

#include <algorithm>
#include <charconv>
#include <string>

#include <goldmill/system/file.hpp>

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

Bytes available_memory() {
  const auto content = system::read_file("/proc/meminfo", 64_KiB);
  constexpr std::string_view kKey = "MemAvailable:";
  const std::size_t at = content ? content->find(kKey) : std::string::npos;
  if (at == std::string::npos) {
    return Bytes{0};
  }
  const std::size_t digits = content->find_first_not_of(' ', at + kKey.size());
  std::uint64_t kibibytes = 0;
  std::from_chars(content->data() + digits, content->data() + content->size(), kibibytes);
  return Bytes{kibibytes << 10U};
}

}  // namespace goldmill::launch
