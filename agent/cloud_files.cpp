// SPDX-License-Identifier: GPL-3.0-or-later
#include "cloud_files.hpp"

#include <optional>
#include <utility>

#include "text.hpp"

namespace goldmill::agent {

void take_hostname(std::string_view name, Identity& identity) {
  if (is_host_name(name)) {
    identity.hostname = name;
  }
}

void take_key(std::string_view line, Identity& identity) {
  if (is_key_line(line) && identity.ssh_keys.size() < kMostKeys) {
    identity.ssh_keys.push_back({.user = "", .line = std::string(line)});
  }
}

namespace {

std::string_view unquoted(std::string_view value) {
  value = trimmed(value);
  if (value.size() >= 2 && (value[0] == '"' || value[0] == '\'') && value.back() == value[0]) {
    return value.substr(1, value.size() - 2);
  }
  return value;
}

/// Calls take(key, value) for `key: value` and for each `- value` below `key:` at the top level.
template <typename Take>
void read_lines(std::string_view text, const Take& take) {
  std::string_view list;
  for (const std::string_view line : lines_of(text)) {
    const std::string_view content = trimmed(line);
    if (content.empty() || content[0] == '#') {
      continue;
    }
    if (content.starts_with("- ")) {
      if (!list.empty()) {
        take(list, unquoted(content.substr(2)));
      }
      continue;
    }
    list = {};
    const std::size_t colon = content.find(':');
    if (line[0] == ' ' || line[0] == '\t' || colon == std::string_view::npos) {
      continue;
    }
    const std::string_view value = unquoted(content.substr(colon + 1));
    if (value.empty()) {
      list = content.substr(0, colon);
    } else {
      take(content.substr(0, colon), value);
    }
  }
}

/// Gives each string of a JSON text with the keys that lead to it, joined by '/'.
class JsonStrings {
 public:
  explicit JsonStrings(std::string_view text) : rest_(text) {}

  template <typename Take>
  bool read(const Take& take, const std::string& path = "", int depth = 0) {
    skip_blanks();
    if (rest_.empty() || depth > 16) {
      return false;
    }
    if (rest_[0] == '{' || rest_[0] == '[') {
      return read_container(take, path, depth);
    }
    if (rest_[0] == '"') {
      const auto text = read_string();
      if (text) {
        take(std::string_view(path), std::string_view(*text));
      }
      return text.has_value();
    }
    const std::size_t end = rest_.find_first_of(",]} \t\r\n");
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end);
    return end != 0;
  }

 private:
  void skip_blanks() {
    const std::size_t start = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(start == std::string_view::npos ? rest_.size() : start);
  }

  bool accept(char wanted) {
    skip_blanks();
    if (rest_.empty() || rest_[0] != wanted) {
      return false;
    }
    rest_.remove_prefix(1);
    return true;
  }

  template <typename Take>
  bool read_container(const Take& take, const std::string& path, int depth) {
    const bool is_object = rest_[0] == '{';
    const char end = is_object ? '}' : ']';
    rest_.remove_prefix(1);
    if (accept(end)) {
      return true;
    }
    while (true) {
      std::string inner = path;
      if (is_object) {
        skip_blanks();
        const auto key = read_string();
        if (!key || !accept(':')) {
          return false;
        }
        inner += (path.empty() ? "" : "/") + *key;
      }
      if (!read(take, inner, depth + 1)) {
        return false;
      }
      if (!accept(',')) {
        return accept(end);
      }
    }
  }

  std::optional<std::string> read_string() {
    if (rest_.empty() || rest_[0] != '"') {
      return std::nullopt;
    }
    std::string text;
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        return text;
      }
      if (rest_[i] == '\\' && ++i < rest_.size()) {
        // Only what host names and keys may hold matters: other escapes become a blank.
        text += rest_[i] == 'n' ? '\n' : (rest_[i] == '/' || rest_[i] == '"' ? rest_[i] : ' ');
      } else if (i < rest_.size()) {
        text += rest_[i];
      }
    }
    return std::nullopt;
  }

  std::string_view rest_;
};

}  // namespace

void read_meta_data(std::string_view text, Identity& identity) {
  read_lines(text, [&](std::string_view key, std::string_view value) {
    if (key == "local-hostname" || (key == "hostname" && identity.hostname.empty())) {
      take_hostname(value, identity);
    } else if (key == "instance-id" && is_instance_id(value)) {
      identity.instance_id = value;
    } else if (key == "public-keys") {
      take_key(value, identity);
    }
  });
}

void read_cloud_config(std::string_view text, Identity& identity) {
  if (!text.starts_with("#cloud-config")) {
    return;
  }
  read_lines(text, [&](std::string_view key, std::string_view value) {
    if (key == "hostname" || key == "fqdn") {
      take_hostname(value, identity);
    } else if (key == "ssh_authorized_keys") {
      take_key(value, identity);
    }
  });
}

bool read_openstack_meta_data(std::string_view text, Identity& identity) {
  JsonStrings json(text);
  return json.read([&](std::string_view path, std::string_view value) {
    if (path == "hostname") {
      take_hostname(value, identity);
    } else if (path == "uuid" && is_instance_id(value)) {
      identity.instance_id = value;
    } else if (path.starts_with("public_keys/")) {
      for (const std::string_view line : lines_of(value)) {  // a key pair may hold several
        take_key(trimmed(line), identity);
      }
    }
  });
}

std::string file_system_label(std::string_view start) {
  std::string_view label;
  constexpr std::size_t kIsoVolume = 32768;
  if (start.size() >= kIsoVolume + 72 && start.substr(kIsoVolume + 1, 5) == "CD001") {
    label = start.substr(kIsoVolume + 40, 32);
  } else if (start.size() >= 512 && start.substr(510, 2) == "\x55\xAA") {
    if (start.substr(82, 5) == "FAT32") {
      label = start.substr(71, 11);
    } else if (start.substr(54, 3) == "FAT") {
      label = start.substr(43, 11);
    }
  }
  std::string lower(trimmed(label));
  for (char& c : lower) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return lower;
}

}  // namespace goldmill::agent
