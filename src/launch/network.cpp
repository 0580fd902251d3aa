// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>

#include <goldmill/launch/launch.hpp>

namespace goldmill::launch {

namespace {
using Kind = Network::Kind;

struct Form {
  std::string_view prefix;
  Kind kind;
};
constexpr std::array kForms = {
    Form{"bridge=", Kind::bridge}, Form{"network=", Kind::network}, Form{"netns=", Kind::netns}};

/// It becomes a directory's.
bool is_plain(std::string_view name) {
  return name.front() != '.' && name.size() <= 64 &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
             std::string_view::npos;
}
}  // namespace

Result<Network> Network::parse(const std::string& text) {
  if (text == "user") {
    return Network{};
  }
  if (text == "netns") {
    return Network{Kind::netns, ""};
  }
  for (const Form& form : kForms) {
    if (!text.starts_with(form.prefix) || text.size() == form.prefix.size()) {
      continue;
    }
    Network network{form.kind, text.substr(form.prefix.size())};
    if (network.kind == Kind::netns && !is_plain(network.name)) {
      return Error{ErrorKind::invalid_input,
                   "a network cannot be named '" + network.name + "'",
                   "letters, digits, '-', '_' and '.' make a name, 64 at most"};
    }
    return network;
  }
  return Error{ErrorKind::invalid_input,
               "there is no network '" + text + "'",
               "give user, netns, netns=NAME or bridge=NAME, or, with libvirt, network=NAME"};
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
