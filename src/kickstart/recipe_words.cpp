// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cctype>
#include <regex>

#include <goldmill/kickstart/recipe_words.hpp>

namespace goldmill::kickstart {

namespace {
constexpr std::string_view kPlain =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
}  // namespace

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

bool has_word(std::string_view list, std::string_view word) {
  return word.find(' ') == word.npos && list.find(" " + std::string(word) + " ") != list.npos;
}

void add_note(std::string& note, std::string_view more) {
  note += note.empty() || more.empty() ? "" : "; ";
  note += more;
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

bool is_time_zone(std::string_view text) {
  static const std::regex kZone(kTimeZonePattern);
  return std::regex_match(text.begin(), text.end(), kZone);
}

bool is_keyboard(std::string_view text) {
  static const std::regex kLayout(kKeyboardPattern);
  return std::regex_match(text.begin(), text.end(), kLayout);
}

bool is_account_name(std::string_view text) {
  static const std::regex kAccount(kAccountPattern);
  return std::regex_match(text.begin(), text.end(), kAccount);
}

std::string utf8_locale(std::string_view text) {
  static const std::regex kLocale(
      "(C|POSIX|[a-z]{2,3}(?:_[A-Z]{2})?)(?:[.][A-Za-z0-9-]{1,16})?(@[a-z]{1,16})?");
  std::cmatch parts;
  if (!std::regex_match(text.data(), text.data() + text.size(), parts, kLocale)) {
    return "";
  }
  const std::string language = parts[1].str() == "POSIX" ? "C" : parts[1].str();
  return language + ".UTF-8" + parts[2].str();
}

bool is_mount_point(std::string_view path) {
  constexpr std::size_t kDeepestMount = 8;
  constexpr std::size_t kLongestPart = 64;
  if (path == "/") {
    return true;
  }
  std::size_t depth = 0;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/', 1), path.size());
    const std::string_view name = path.substr(1, end - 1);
    if (path.front() != '/' || name.empty() || name.size() > kLongestPart || name == "." ||
        name == ".." || ++depth > kDeepestMount || name.find_first_not_of(kPlain) != name.npos) {
      return false;
    }
    path.remove_prefix(end);
  }
  return depth > 0;
}

std::string fitting_label(std::string_view label) {
  constexpr std::size_t kLongest = 11;
  std::string fitting(label.substr(0, kLongest));
  std::replace_if(
      fitting.begin(),
      fitting.end(),
      [](char letter) { return kPlain.find(letter) == kPlain.npos; },
      '_');
  return fitting;
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
