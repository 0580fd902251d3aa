// SPDX-License-Identifier: GPL-3.0-or-later
#include "package_file.hpp"

#include <array>
#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/system/file.hpp>

namespace goldmill::guest {

namespace fs = std::filesystem;
using system::UniqueFd;

Result<FileState> state_of_file(const fs::path& file, const PackageFile& package, Compare compare) {
  const auto open = system::open_file(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!open) {
    return open.error().kind == ErrorKind::not_found ? FileState::missing : FileState::damaged;
  }
  struct stat status {};
  const bool has_size = ::fstat(open->get(), &status) == 0 && S_ISREG(status.st_mode) &&
                        static_cast<std::uint64_t>(status.st_size) == package.size;
  const bool is_good = has_size && (compare == Compare::size ||
                                    TRY(system::digest_of(open->get())).hex() == package.sha256);
  return is_good ? FileState::good : FileState::damaged;
}

Result<void> copy_to(int from, const fs::path& to) {
  const UniqueFd copy = TRY(system::open_file(to, O_WRONLY | O_CREAT | O_EXCL, 0644));
  TRY(system::read_pieces(
      from, [&copy](std::string_view piece) { return system::write_all(copy.get(), piece); }));
  if (::fsync(copy.get()) != 0) {
    return system_error("cannot write " + to.string(), errno);
  }
  return {};
}

Result<void> place_file(const fs::path& from, const fs::path& to) {
  const fs::path unfinished = to.string() + ".new";
  ::unlink(unfinished.c_str());
  const UniqueFd file = TRY(system::open_file(from, O_RDONLY | O_NOFOLLOW));
  struct stat status {};
  const bool is_for_all = ::fstat(file.get(), &status) == 0 && (status.st_mode & 0444U) == 0444U &&
                          status.st_uid == ::geteuid();
  if (!is_for_all || ::link(from.c_str(), unfinished.c_str()) != 0) {
    TRY(copy_to(file.get(), unfinished));
  }
  const bool is_placed = ::rename(unfinished.c_str(), to.c_str()) == 0;
  const int number = errno;
  ::unlink(unfinished.c_str());  // rename leaves it when both were one file already
  return is_placed ? Result<void>() : system_error("cannot make " + to.string(), number);
}

}  // namespace goldmill::guest
