// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include <goldmill/base/bytes.hpp>

namespace goldmill {

namespace {
struct Unit {
  std::string_view name;
  double factor;
};
constexpr std::array<Unit, 9> kUnits = {{{"B", 1.0},
                                         {"kB", 1e3},
                                         {"MB", 1e6},
                                         {"GB", 1e9},
                                         {"TB", 1e12},
                                         {"KiB", 1024.0},
                                         {"MiB", 1048576.0},
                                         {"GiB", 1073741824.0},
                                         {"TiB", 1099511627776.0}}};

Error bad_size(std::string_view text) {
  return Error{ErrorKind::invalid_input,
               "'" + std::string(text.substr(0, 80)) + "' is not a size",
               "write a number and a unit: 4GiB, 400MiB, 512MB"};
}
}  // namespace

Result<Bytes> parse_bytes(std::string_view text) {
  double number = 0;
  const auto [end, failure] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (failure != std::errc{} || number < 0) {
    return bad_size(text);
  }
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit.starts_with(' ')) {
    unit.remove_prefix(1);
  }
  for (const Unit& known : kUnits) {
    if (unit == known.name) {
      const double bytes = number * known.factor;
      if (bytes > 9.2e18 || bytes != std::floor(bytes)) {
        return bad_size(text);
      }
      return Bytes{static_cast<std::uint64_t>(bytes)};
    }
  }
  return bad_size(text);
}

std::string to_text(Bytes size) {
  static constexpr std::array<const char*, 6> kNames = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto number = static_cast<double>(size.value);
  std::size_t unit = 0;
  while (number >= 1000 && unit + 1 < kNames.size()) {
    number /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  const int digits = unit == 0 || number >= 100 ? 0 : (number >= 10 ? 1 : 2);
  (void)std::snprintf(text.data(), text.size(), "%.*f %s", digits, number, kNames.at(unit));
  return text.data();
}

}  // namespace goldmill
