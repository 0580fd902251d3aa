// SPDX-License-Identifier: GPL-3.0-or-later
#include <charconv>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/guest/baseline_step.hpp>

namespace goldmill::guest {

Result<Port> parse_port(std::string_view text) {
  struct Named {
    const char* name;
    Port port;
  };
  static const std::vector<Named> kServices = {
      {"ssh", {22, "tcp"}},
      {"http", {80, "tcp"}},
      {"https", {443, "tcp"}},
      {"smtp", {25, "tcp"}},
      {"ntp", {123, "udp"}},
      {"mysql", {3306, "tcp"}},
      {"postgresql", {5432, "tcp"}},
  };
  std::vector<std::string> names;
  for (const Named& service : kServices) {
    if (text == service.name) {
      return service.port;
    }
    names.emplace_back(service.name);
  }
  const std::size_t slash = text.find('/');
  const std::string_view number = text.substr(0, slash);
  const std::string_view protocol =
      slash == std::string_view::npos ? "tcp" : text.substr(slash + 1);
  std::uint16_t value = 0;
  const auto [end, failure] = std::from_chars(number.begin(), number.end(), value);
  if (failure != std::errc{} || end != number.end() || value == 0 ||
      (protocol != "tcp" && protocol != "udp")) {
    return Error{.kind = ErrorKind::invalid_input,
                 .message = "'" + std::string(text) + "' is no port",
                 .hint = "write NUMBER/tcp, NUMBER/udp or a service; " + did_you_mean(text, names)};
  }
  return Port{value, std::string(protocol)};
}

}  // namespace goldmill::guest
