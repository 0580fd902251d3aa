// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <charconv>

#include <goldmill/store/reference.hpp>

namespace goldmill::store {

namespace {
bool is_name(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  return !text.empty() && text.size() <= 64 && text.front() != '.' && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), allowed);
}

Error bad_reference(std::string_view text) {
  return Error{ErrorKind::invalid_input,
               "'" + std::string(text.substr(0, 120)) + "' does not name an image",
               "write NAME, NAME@VERSION or NAME:CHANNEL, such as java, java@3 or java:stable"};
}
}  // namespace

Result<ImageReference> ImageReference::parse(std::string_view text) {
  const std::size_t mark = text.find_first_of("@:");
  ImageReference reference{std::string(text.substr(0, mark)), 0, ""};
  if (!is_name(reference.name)) {
    return bad_reference(text);
  }
  if (mark == std::string_view::npos) {
    return reference;
  }
  const std::string_view rest = text.substr(mark + 1);
  if (text[mark] == ':') {
    reference.channel = rest;
    return is_name(rest) ? Result<ImageReference>(reference) : bad_reference(text);
  }
  const auto [end, failure] =
      std::from_chars(rest.data(), rest.data() + rest.size(), reference.version);
  if (failure != std::errc{} || end != rest.data() + rest.size() || reference.version < 1) {
    return bad_reference(text);
  }
  return reference;
}

std::string ImageReference::text() const {
  if (version > 0) {
    return name + "@" + std::to_string(version);
  }
  return channel.empty() ? name : name + ":" + channel;
}

}  // namespace goldmill::store
