// SPDX-License-Identifier: GPL-3.0-or-later
// Work directories: NAME in the home's `work`, where a step's changes collect. They go with
// their owner; what a dead one left is reclaimed by the next command.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/system/locked_directory.hpp>

namespace goldmill::build {

/// Makes `trees/` and `work/`, where guest ids may create. `home` itself must keep others out
/// (mode 0700). Errors: conflict when it does not.
Result<void> prepare_home(const std::filesystem::path& home);

/// A second home, which may stand in a work directory under this name and goes with it.
inline constexpr const char* kInnerHome = "home";

class WorkDirectory : public system::LockedDirectory {
 public:
  static Result<WorkDirectory> make(const std::filesystem::path& home);

 private:
  explicit WorkDirectory(system::LockedDirectory&& directory)
      : system::LockedDirectory(std::move(directory)) {}
};

/// Removes the work directories of dead owners. Returns how many there were.
Result<int> reclaim(const std::filesystem::path& home);

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
