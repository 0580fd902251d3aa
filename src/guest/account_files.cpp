// SPDX-License-Identifier: GPL-3.0-or-later
#include "account_files.hpp"

#include <algorithm>
#include <cerrno>
#include <map>

#include <fcntl.h>

namespace goldmill::guest {

namespace {
/// The third field: the id, in passwd and group.
std::string id_of(const std::string& line) {
  const std::size_t start = line.find(':', line.find(':') + 1) + 1;
  return line.substr(start, line.find(':', start) - start);
}

/// The accounts of one file: name -> id.
std::map<std::string, std::string> accounts_in(const std::string& text) {
  std::map<std::string, std::string> accounts;
  for (const std::string& line : account_lines(text)) {
    if (std::count(line.begin(), line.end(), ':') >= 2) {
      accounts.emplace(account_of(line), id_of(line));
    }
  }
  return accounts;
}

Error renumbered(const std::string& file, const std::string& what) {
  return Error{ErrorKind::conflict,
               "account ids would change in /etc/" + file + ": " + what,
               "files of existing data would belong to another account: give the image below the "
               "ids that it had, or remove the lock file to number accounts anew"};
}

/// What the image below says of an account that the lock has.
Result<void> check_id(const std::string& file,
                      const std::string& line,
                      const std::map<std::string, std::string>& below) {
  const std::string name = account_of(line);
  const std::string id = id_of(line);
  const auto same = below.find(name);
  if (same != below.end() && same->second != id) {
    return renumbered(file, "'" + name + "' had " + id + " and has " + same->second + " below");
  }
  for (const auto& [other, taken] : below) {
    if (same == below.end() && taken == id) {
      return renumbered(file, "'" + name + "' had " + id + ", which is now '" + other + "' below");
    }
  }
  return {};
}

Result<void> append(GuestTree& tree, const std::string& path, std::string_view text) {
  const GuestPlace place = TRY(tree.place(path));
  const system::UniqueFd file(::openat(
      place.descriptor(), place.name.c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC));
  if (!file) {
    return system_error("cannot add accounts to " + path, errno);
  }
  return system::write_all(file.get(), text).context(path);
}
}  // namespace

std::vector<std::string> account_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (end > at) {
      lines.push_back(text.substr(at, end - at));
    }
    at = end + 1;
  }
  return lines;
}

std::string account_of(const std::string& line) {
  return line.substr(0, line.find(':'));
}

Result<void> add_accounts(GuestTree& tree, const Json& accounts) {
  for (const auto& [file, colons] :
       {std::pair{"passwd", 6}, {"group", 3}, {"shadow", 8}, {"gshadow", 3}}) {
    const std::string path = std::string("/etc/") + file;
    std::string text = TRY(tree.read_or_empty(path));
    if (text.empty()) {
      continue;
    }
    const auto below = accounts_in(text);
    const bool has_ids = file == std::string_view("passwd") || file == std::string_view("group");
    std::string fresh;
    for (const std::string& line : find_strings(accounts, file)) {
      if (std::count(line.begin(), line.end(), ':') != colons || line.front() == ':' ||
          line.find('\n') != std::string::npos) {
        return Error{ErrorKind::invalid_input, "'" + line + "' is no line of " + path};
      }
      if (has_ids) {
        TRY(check_id(file, line, below));
      }
      if (!below.contains(account_of(line))) {
        fresh += line + "\n";
      }
    }
    if (!fresh.empty()) {
      TRY(append(tree, path, (text.ends_with('\n') ? "" : "\n") + fresh));
    }
  }
  return {};
}

}  // namespace goldmill::guest
