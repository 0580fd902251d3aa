// SPDX-License-Identifier: GPL-3.0-or-later
#include <cerrno>
#include <string>

#include <unistd.h>

#include <goldmill/system/locked_directory.hpp>

namespace goldmill::system {

namespace fs = std::filesystem;

namespace {

/// Shared by who makes or removes one: while it has no lock yet, or none any more, it must not
/// look abandoned.
Result<FileLock> comings_and_goings(const fs::path& work, FileLock::Mode mode) {
  return FileLock::acquire(work.parent_path() / "work.lock", mode);
}

fs::path lock_of(const fs::path& directory) {
  return directory / "lock";
}

}  // namespace

Result<LockedDirectory> LockedDirectory::make(const fs::path& work,
                                              std::string_view prefix,
                                              Removal removal) {
  TRY(make_directories(work));
  const FileLock coming = TRY(comings_and_goings(work, FileLock::Mode::shared));
  std::string name = (work / prefix).string() + "XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) {
    return system_error("cannot make a directory in " + work.string(), errno);
  }
  return LockedDirectory(
      name, TRY(FileLock::acquire(lock_of(name), FileLock::Mode::exclusive)), removal);
}

LockedDirectory::~LockedDirectory() {
  if (path_.empty()) {
    return;
  }
  const auto going = comings_and_goings(path_.parent_path(), FileLock::Mode::shared);
  (void)removal_(path_);
}

Result<std::vector<fs::path>> abandoned(const fs::path& work) {
  const FileLock still = TRY(comings_and_goings(work, FileLock::Mode::exclusive));
  std::vector<fs::path> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(work, ignored)) {
    if (FileLock::try_acquire(lock_of(entry.path()), FileLock::Mode::exclusive)) {
      found.push_back(entry.path());
    }
  }
  return found;
}

bool is_owned(const fs::path& directory) {
  const auto lock = FileLock::try_acquire(lock_of(directory), FileLock::Mode::shared);
  return !lock && lock.error().kind == ErrorKind::conflict;
}

}  // namespace goldmill::system
