// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>

#include <yaml-cpp/yaml.h>

#include <goldmill/recipe/profile.hpp>

namespace goldmill::recipe {

namespace {
/// What a reader would take for a number, a boolean or a mark is quoted.
bool is_plain(const std::string& text) {
  constexpr std::string_view kSafe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+=-@";
  static const std::array<std::string_view, 8> kWords = {
      "true", "false", "yes", "no", "on", "off", "null", "y"};
  const bool letters = !text.empty() && text.find_first_not_of(kSafe) == std::string::npos &&
                       text.find_first_not_of("0123456789.+-_") != std::string::npos;
  return letters && text.front() != '-' && text.front() != '@' && text.front() != '=' &&
         std::find(kWords.begin(), kWords.end(), text) == kWords.end();
}

/// A block keeps text as it is, but none that begins with a space or has a carriage return.
bool fits_block(const std::string& text) {
  return text.find('\n') != std::string::npos && text.ends_with('\n') &&
         text.find_first_of("\r\x7f") == std::string::npos && text.front() != ' ' &&
         text.front() != '\n' && !text.ends_with("\n\n");
}

void write(YAML::Emitter& out, const Json& value);

void write_map(YAML::Emitter& out, const Json& map) {
  constexpr std::array<const char*, 5> kFirst = {"recipe", "os", "name", "baseline", "disk"};
  out << (map.empty() ? YAML::Flow : YAML::Block) << YAML::BeginMap;
  const auto entry = [&](const std::string& key) {
    out << YAML::Key << key << YAML::Value;
    write(out, map[key]);
  };
  for (const char* key : kFirst) {
    if (map.contains(key)) {
      entry(key);
    }
  }
  for (const auto& [key, value] : map.items()) {
    if (std::find(kFirst.begin(), kFirst.end(), key) == kFirst.end()) {
      entry(key);
    }
  }
  out << YAML::EndMap;
}

void write_text(YAML::Emitter& out, const std::string& text) {
  if (fits_block(text)) {
    out << YAML::Literal << text.substr(0, text.size() - 1);  // which a block ends with itself
  } else if (is_plain(text)) {
    out << text;
  } else {
    out << YAML::DoubleQuoted << text;
  }
}

void write(YAML::Emitter& out, const Json& value) {
  if (value.is_object()) {
    write_map(out, value);
  } else if (value.is_array()) {
    const bool is_short = std::none_of(
        value.begin(), value.end(), [](const Json& item) { return item.is_structured(); });
    out << (is_short ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
    for (const Json& item : value) {
      write(out, item);
    }
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    write_text(out, value.get<std::string>());
  } else {
    out << value.dump();
  }
}
}  // namespace

std::string yaml_text(const Json& recipe) {
  YAML::Emitter out;
  out.SetIndent(2);
  write(out, recipe);
  return std::string(out.c_str()) + "\n";
}

}  // namespace goldmill::recipe
