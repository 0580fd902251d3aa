// SPDX-License-Identifier: GPL-3.0-or-later
// Work directories: NAME in the home's `work`, where a step's changes collect. They are locked
// while their owner lives; what a dead one left is reclaimed by the next command.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::build {

/// Makes `trees/` and `work/`, where guest ids may create. `home` itself must keep others out
/// (mode 0700). Errors: conflict when it does not.
Result<void> prepare_home(const std::filesystem::path& home);

/// A second home, which may stand in a work directory under this name and goes with it.
inline constexpr const char* kInnerHome = "home";

class WorkDirectory {
 public:
  static Result<WorkDirectory> make(const std::filesystem::path& home);
  WorkDirectory(WorkDirectory&& other) noexcept
      : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
  WorkDirectory& operator=(WorkDirectory&&) = delete;
  /// Removes it with everything in it.
  ~WorkDirectory();

  const std::filesystem::path& path() const { return path_; }

 private:
  WorkDirectory(std::filesystem::path path, system::FileLock lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;
  system::FileLock lock_;
};

/// Removes the work directories of dead owners. Returns how many there were.
Result<int> reclaim(const std::filesystem::path& home);

/// Does its owner live? False for one that is not there.
bool is_alive(const std::filesystem::path& work_directory);

/// Bytes on disk that go with these trees, which belong to guest ids: not of files that another
/// tree shares.
Result<Bytes> bytes_freed_by(const std::filesystem::path& parent,
                             const std::vector<std::string>& names);

/// Bytes on disk of each by itself, every file once; nothing for one that is not there.
Result<std::vector<std::optional<Bytes>>> measure_each_guest_tree(
    const std::filesystem::path& parent, const std::vector<std::string>& names);

/// Moves trees that belong to guest ids out of `parent` into a work directory, where they go with
/// it. One that is not there is no error.
Result<void> discard_guest_trees(const std::filesystem::path& parent,
                                 const std::vector<std::string>& names,
                                 const std::filesystem::path& work_directory);

/// Removes a tree that belongs to guest ids; a missing one is no error. `parent` must let guest
/// ids write. Links are never followed, and no depth of nesting stops it.
Result<void> remove_guest_tree(const std::filesystem::path& parent, const std::string& name);

}  // namespace goldmill::build
