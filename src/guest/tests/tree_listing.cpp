// SPDX-License-Identifier: GPL-3.0-or-later
#include "tree_listing.hpp"

#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include <sys/stat.h>
#include <sys/xattr.h>

#include <goldmill/base/digest.hpp>

namespace goldmill::guest::test_parts {

namespace fs = std::filesystem;

namespace {
std::string content_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return std::move(text).str();
}

std::map<std::uint32_t, std::string> names_by_id(const fs::path& file) {
  std::map<std::uint32_t, std::string> names;
  std::istringstream lines(content_of(file));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t name = line.find(':');
    const std::size_t password = line.find(':', name + 1);
    if (password != std::string::npos) {
      names.emplace(static_cast<std::uint32_t>(std::stoul(line.substr(password + 1))),
                    line.substr(0, name));
    }
  }
  return names;
}

std::string name_of(const std::map<std::uint32_t, std::string>& names, std::uint32_t id) {
  const auto found = names.find(id);
  return found == names.end() ? std::to_string(id) : found->second;
}

/// An access list with the tree's own ids: after 4 bytes, entries of tag, permissions and id.
/// Source: linux/posix_acl_xattr.h, little endian.
std::string with_own_ids(std::string list, std::uint32_t first_id) {
  constexpr std::size_t kEntry = 8;
  constexpr std::array<char, 2> kNamed = {2, 8};  // a user's and a group's
  for (std::size_t at = 4; at + kEntry <= list.size(); at += kEntry) {
    if (list[at] == kNamed[0] || list[at] == kNamed[1]) {
      std::uint32_t id = 0;
      std::memcpy(&id, &list[at + 4], sizeof id);
      id -= first_id;
      std::memcpy(&list[at + 4], &id, sizeof id);
    }
  }
  return list;
}

/// Capabilities without the root id of version 3, other attributes as they are.
std::string attributes_of(const fs::path& path, std::uint32_t first_id) {
  std::array<char, 65536> names{};
  const ssize_t size = ::llistxattr(path.c_str(), names.data(), names.size());
  std::string text;
  for (ssize_t at = 0; at < size;) {
    const std::string name = &names.at(static_cast<std::size_t>(at));
    at += static_cast<ssize_t>(name.size()) + 1;
    std::array<char, 65536> value{};
    const ssize_t length = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    std::string bytes(value.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
    if (name == "security.capability" && bytes.size() >= 20) {
      bytes = bytes.substr(4, 16);
    } else if (name.starts_with("system.posix_acl_")) {
      bytes = with_own_ids(std::move(bytes), first_id);
    }
    text += " " + name + "=" + sha256(bytes).brief();
  }
  return text;
}

std::string kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "dir";
    case S_IFLNK:
      return "link";
    case S_IFIFO:
      return "fifo";
    default:
      return "node";
  }
}
}  // namespace

std::map<std::string, std::string> list_tree(const fs::path& root, std::uint32_t first_id) {
  const auto users = names_by_id(root / "etc/passwd");
  const auto groups = names_by_id(root / "etc/group");
  std::map<std::string, std::string> listing;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    struct stat status {};
    ::lstat(entry.path().c_str(), &status);
    std::array<char, 16> mode{};
    std::snprintf(mode.data(), mode.size(), "%04o", status.st_mode & 07777U);
    std::string line = kind_of(status.st_mode);
    line += S_ISLNK(status.st_mode) ? "" : std::string(" ") + mode.data();
    line += " " + name_of(users, status.st_uid - first_id) + ":" +
            name_of(groups, status.st_gid - first_id);
    if (S_ISLNK(status.st_mode)) {
      line += " -> " + fs::read_symlink(entry.path()).string();
    } else if (S_ISREG(status.st_mode)) {
      line += " " + sha256(content_of(entry.path())).brief();
      line += status.st_nlink > 1 ? " links=" + std::to_string(status.st_nlink) : "";
    }
    listing["/" + entry.path().lexically_relative(root).string()] =
        line + attributes_of(entry.path(), first_id);
  }
  return listing;
}

std::vector<std::string> differences(const std::map<std::string, std::string>& a,
                                     const std::map<std::string, std::string>& b) {
  std::vector<std::string> lines;
  for (const auto& [path, text] : a) {
    const auto other = b.find(path);
    if (other == b.end() || other->second != text) {
      lines.push_back(path + ": " + text + " | " + (other == b.end() ? "-" : other->second));
    }
  }
  for (const auto& [path, text] : b) {
    if (!a.contains(path)) {
      lines.push_back(path + ": - | " + text);
    }
  }
  return lines;
}

}  // namespace goldmill::guest::test_parts
