// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>

#include <goldmill/launch/launch.hpp>

namespace goldmill::launch {

namespace {
using Kind = Network::Kind;

struct Form {
  std::string_view prefix;
  Kind kind;
};
constexpr std::array kForms = {Form{"bridge=", Kind::bridge}, Form{"network=", Kind::network}};
}  // namespace

Result<Network> Network::parse(const std::string& text) {
  if (text == "user") {
    return Network{};
  }
  for (const Form& form : kForms) {
    if (text.starts_with(form.prefix) && text.size() > form.prefix.size()) {
      return Network{form.kind, text.substr(form.prefix.size())};
    }
  }
  return Error{ErrorKind::invalid_input,
               "there is no network '" + text + "'",
               "give user or bridge=NAME, or, with libvirt, network=NAME"};
}

std::string Network::text() const {
  for (const Form& form : kForms) {
    if (form.kind == kind) {
      return std::string(form.prefix) + name;
    }
  }
  return "user";
}

}  // namespace goldmill::launch
