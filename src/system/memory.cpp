// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include <goldmill/system/file.hpp>
#include <goldmill/system/memory.hpp>

namespace goldmill::system {

namespace fs = std::filesystem;

namespace {

/// The names of a control group's files (Linux, admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst).
struct GroupFiles {
  const char* mount;
  const char* limit;
  const char* usage;
  const char* files;  ///< start of the lines of memory.stat that count what was read from disks
};

constexpr GroupFiles kVersion1 = {
    "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"};
constexpr GroupFiles kVersion2 = {"sys/fs/cgroup", "memory.max", "memory.current", ""};

/// The number that the text begins with; nothing where it says another thing, as "max".
std::optional<std::uint64_t> number_in(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::uint64_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc{} ? std::optional(number) : std::nullopt;
}

/// Empty for one that is not there.
std::string text_of(const fs::path& file) {
  auto content = read_file(file, 64_KiB);
  return content ? *std::move(content) : std::string();
}

/// Of a file of lines that are a key and a number; 0 for what it does not tell.
std::uint64_t number_of(std::string_view content, const std::string& key) {
  const std::size_t at = content.starts_with(key) ? 0 : content.find("\n" + key);
  if (at == std::string_view::npos) {
    return 0;
  }
  return number_in(content.substr(content.find(key, at) + key.size())).value_or(0);
}

/// Nothing where the group sets no limit.
std::optional<std::uint64_t> left_in(const fs::path& group, const GroupFiles& names) {
  const auto limit = number_in(text_of(group / names.limit));
  const auto usage = number_in(text_of(group / names.usage));
  if (!limit || !usage) {
    return std::nullopt;
  }
  const std::string statistics = text_of(group / "memory.stat");
  const std::string prefix = names.files;
  // The kernel drops these before it ends a process; MemAvailable counts them, too.
  const std::uint64_t droppable = number_of(statistics, prefix + "inactive_file ") +
                                  number_of(statistics, prefix + "active_file ");
  const std::uint64_t used = *usage - std::min(*usage, droppable);
  return *limit - std::min(*limit, used);
}

/// The least that a group or one around it has left. In a container the path may be that of the
/// host, and only its start, the mount, be there.
std::uint64_t left_around(const fs::path& root, fs::path group, const GroupFiles& names) {
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  for (;; group = group.parent_path()) {
    if (const auto left = left_in(root / names.mount / group.relative_path(), names)) {
      least = std::min(least, *left);
    }
    if (!group.has_relative_path()) {
      return least;
    }
  }
}

/// Lines of /proc/self/cgroup are NUMBER:CONTROLLERS:PATH; version 2 has number 0 and no
/// controllers.
std::uint64_t left_in_groups(const fs::path& root) {
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  std::istringstream lines(text_of(root / "proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t controllers = line.find(':');
    const std::size_t path = line.find(':', controllers + 1);
    if (controllers == std::string::npos || path == std::string::npos) {
      continue;
    }
    const std::string named = "," + line.substr(controllers + 1, path - controllers - 1) + ",";
    const bool is_version2 = line.starts_with("0::");
    if (is_version2 || named.find(",memory,") != std::string::npos) {
      const std::string group = line.substr(path + 1);
      const bool is_outside = group.starts_with("/..");  // of what is mounted here
      least = std::min(
          least, left_around(root, is_outside ? "/" : group, is_version2 ? kVersion2 : kVersion1));
    }
  }
  return least;
}

}  // namespace

Bytes available_memory(const fs::path& root) {
  const std::uint64_t kibibytes = number_of(text_of(root / "proc/meminfo"), "MemAvailable:");
  return Bytes{std::min(kibibytes << 10U, left_in_groups(root))};
}

}  // namespace goldmill::system
