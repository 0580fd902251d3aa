// SPDX-License-Identifier: GPL-3.0-or-later
#include <charconv>
#include <string>

#include <goldmill/system/file.hpp>
#include <goldmill/system/memory.hpp>

namespace goldmill::system {

Bytes available_memory() {
  const auto content = read_file("/proc/meminfo", 64_KiB);
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

}  // namespace goldmill::system
