// SPDX-License-Identifier: GPL-3.0-or-later
// LockedDirectory: a directory in a home's `work`, locked while its owner lives, so that what a
// killed one left is known.
#pragma once

#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::system {

class LockedDirectory {
 public:
  using Removal = Result<void> (*)(const std::filesystem::path& directory);

  /// PREFIX with letters of chance, in `work`, which is made when missing.
  static Result<LockedDirectory> make(const std::filesystem::path& work,
                                      std::string_view prefix,
                                      Removal removal = remove_tree);
  LockedDirectory(LockedDirectory&& other) noexcept
      : path_(std::exchange(other.path_, {})),
        lock_(std::move(other.lock_)),
        removal_(other.removal_) {}
  LockedDirectory& operator=(LockedDirectory&&) = delete;
  /// Removes it with everything in it.
  ~LockedDirectory();

  const std::filesystem::path& path() const { return path_; }

 private:
  LockedDirectory(std::filesystem::path path, FileLock lock, Removal removal)
      : path_(std::move(path)), lock_(std::move(lock)), removal_(removal) {}

  std::filesystem::path path_;
  FileLock lock_;
  Removal removal_;
};

/// Those in `work` whose owner is dead.
Result<std::vector<std::filesystem::path>> abandoned(const std::filesystem::path& work);

/// Does its owner live? False for one that is not there.
bool is_owned(const std::filesystem::path& directory);

}  // namespace goldmill::system
