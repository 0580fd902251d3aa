// SPDX-License-Identifier: GPL-3.0-or-later
// AptScratch: a directory for what libapt, its methods and an unpacked package write meanwhile.
#pragma once

#include <filesystem>
#include <utility>

#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::guest {

/// Stands in the home's `work`, locked as a build::WorkDirectory is: what an owner left that was
/// killed is reclaimed by the next command.
class AptScratch {
 public:
  static Result<AptScratch> make(const std::filesystem::path& work);
  AptScratch(AptScratch&& other) noexcept
      : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
  AptScratch& operator=(AptScratch&&) = delete;
  /// Removes it with everything in it.
  ~AptScratch();

  const std::filesystem::path& path() const { return path_; }

 private:
  AptScratch(std::filesystem::path path, system::FileLock lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;
  system::FileLock lock_;
};

/// The `work` of the home that a directory such as its `packages` stands in.
std::filesystem::path work_beside(const std::filesystem::path& directory);

}  // namespace goldmill::guest
