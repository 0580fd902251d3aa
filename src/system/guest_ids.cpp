// SPDX-License-Identifier: GPL-3.0-or-later
#include <charconv>
#include <sstream>

#include <pwd.h>
#include <unistd.h>

#include <goldmill/system/file.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::system {

namespace {
// Just above the range that systemd-nspawn allocates from (its 524288..1879048191), so that
// neither logins nor containers share these ids.
constexpr std::uint32_t kReservedFirst = 1879048192;

std::string user_name() {
  const passwd* entry = ::getpwuid(::getuid());  // NOLINT(concurrency-mt-unsafe): before threads
  return entry == nullptr ? std::to_string(::getuid()) : entry->pw_name;
}

/// The first range of at least 65536 ids that the file (see subuid(5)) gives the user.
Result<IdRange> subordinate_range(const std::string& file, const std::string& user) {
  const auto content = read_file(file);
  std::istringstream lines(content ? *content : "");
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string owner;
    std::string first;
    std::string count;
    std::getline(fields, owner, ':');
    std::getline(fields, first, ':');
    std::getline(fields, count, ':');
    std::uint32_t first_id = 0;
    std::uint32_t ids = 0;
    std::from_chars(first.data(), first.data() + first.size(), first_id);
    std::from_chars(count.data(), count.data() + count.size(), ids);
    if ((owner == user || owner == std::to_string(::getuid())) && first_id > 0 &&
        ids >= IdRange::kCount) {
      return IdRange{first_id};
    }
  }
  return Error{ErrorKind::unavailable,
               "user " + user + " has no 65536 subordinate ids in " + file,
               "run: sudo usermod --add-subuids 200000-265535 --add-subgids 200000-265535 " + user};
}
}  // namespace

Result<GuestIds> GuestIds::find() {
  if (::geteuid() == 0) {
    return GuestIds{{kReservedFirst}, {kReservedFirst}};
  }
  const std::string user = user_name();
  return GuestIds{TRY(subordinate_range("/etc/subuid", user)),
                  TRY(subordinate_range("/etc/subgid", user))};
}

}  // namespace goldmill::system
