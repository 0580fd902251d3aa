// SPDX-License-Identifier: GPL-3.0-or-later
#include "account_files.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>

namespace goldmill::guest {

namespace {
bool has_account(std::string_view text, std::string_view name) {
  const std::string start = std::string(name) + ":";
  return text.starts_with(start) || text.find("\n" + start) != std::string_view::npos;
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

Result<void> add_accounts(GuestTree& tree, const Json& accounts) {
  for (const auto& [file, colons] :
       {std::pair{"passwd", 6}, {"group", 3}, {"shadow", 8}, {"gshadow", 3}}) {
    const std::string path = std::string("/etc/") + file;
    std::string text = TRY(tree.read_or_empty(path));
    if (text.empty()) {
      continue;
    }
    std::string fresh;
    for (const std::string& line : find_strings(accounts, file)) {
      if (std::count(line.begin(), line.end(), ':') != colons || line.front() == ':' ||
          line.find('\n') != std::string::npos) {
        return Error{ErrorKind::invalid_input, "'" + line + "' is no line of " + path};
      }
      if (!has_account(text, line.substr(0, line.find(':')))) {
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
