// SPDX-License-Identifier: GPL-3.0-or-later
// Bytes: a size with its unit, as recipes write it and tables show it.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <goldmill/base/result.hpp>

namespace goldmill {

struct Bytes {
  std::uint64_t value = 0;

  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 misreads defaulted comparisons
  friend auto operator<=>(Bytes, Bytes) = default;
};

constexpr Bytes operator""_KiB(unsigned long long count) {
  return Bytes{count << 10};
}
constexpr Bytes operator""_MiB(unsigned long long count) {
  return Bytes{count << 20};
}
constexpr Bytes operator""_GiB(unsigned long long count) {
  return Bytes{count << 30};
}

/// Reads "4GiB", "400 MiB", "512MB", "4G" is refused: the unit must say whether it is 1000 or
/// 1024. Units: B, kB, MB, GB, TB, KiB, MiB, GiB, TiB. Errors: invalid_input (also overflow).
Result<Bytes> parse_bytes(std::string_view text);

/// "379 MiB": three significant digits with a binary unit.
std::string to_text(Bytes size);

}  // namespace goldmill
