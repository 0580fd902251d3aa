// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cctype>

#include <goldmill/kickstart/recipe_words.hpp>

namespace goldmill::kickstart {

std::string recipe_name(const std::filesystem::path& file) {
  std::string name;
  for (const char letter : file.stem().string()) {
    const bool upper = letter >= 'A' && letter <= 'Z';
    const bool known = (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
    if (upper || known) {
      name += upper ? static_cast<char>(letter + 32) : letter;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  while (name.ends_with('-')) {
    name.pop_back();
  }
  const bool starts_well = !name.empty() && name.front() >= 'a' && name.front() <= 'z';
  return starts_well ? name : "profile" + (name.empty() ? "" : "-" + name);
}

std::vector<std::string> listed(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(", \t"), text.size());
    if (end > 0) {
      parts.emplace_back(text.substr(0, end));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

void put(Json& recipe, const char* key, Json value) {
  if (!value.empty()) {
    recipe[key] = std::move(value);
  }
}

bool is_package_name(std::string_view name) {
  return name.size() >= 2 && name.front() != '+' && name.front() != '-' && name.front() != '.' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789+-.") ==
             std::string_view::npos;
}

std::string without_parameters(std::string_view script) {
  std::string text;
  for (std::size_t at = 0; at < script.size(); ++at) {
    text += script[at] == '$' && at + 1 < script.size() && script[at + 1] == '{'
                ? "$$"
                : std::string(1, script[at]);
  }
  return text;
}

bool is_given_option(std::string_view option) {
  for (const char* beginning : {"root=",
                                "console=",
                                "rd.",
                                "rhgb",
                                "quiet",
                                "crashkernel",
                                "inst.",
                                "ks=",
                                "splash",
                                "no_timer_check",
                                "initrd=",
                                "BOOT_IMAGE="}) {
    if (option.starts_with(beginning)) {
      return true;
    }
  }
  return false;
}

bool is_kernel_option(std::string_view option) {
  return !option.empty() && std::isalnum(static_cast<unsigned char>(option.front())) != 0 &&
         option.size() <= 200 &&
         option.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
             "._,:=/@+%-") == std::string_view::npos;
}
}  // namespace goldmill::kickstart
