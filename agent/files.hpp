// SPDX-License-Identifier: GPL-3.0-or-later
// Files as the agent reads and writes them: bounded, whole, durable.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/types.h>

#include <goldmill/base/result.hpp>

namespace goldmill::agent {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();
  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

bool exists(const char* path);

/// What a directory holds, without hidden names; nothing of one that cannot be read.
std::vector<std::string> names_in(const std::string& path, int at = AT_FDCWD);

/// At most `limit` bytes of a file; for sysfs, proc and our own files.
Result<std::string> read_file(const std::string& path, std::size_t limit = 65536);
/// A file of a stranger's file system: no link is followed, nothing outside `directory` is read.
Result<std::string> read_beneath(int directory, const char* path, std::size_t limit);

/// Replaces the file as a whole and durably: after a power cut it is the old or the new one.
Result<void> write_file(const std::string& path, std::string_view content, mode_t mode);
/// Other content in place, for a file that is mounted elsewhere, too, or of the kernel; makes it
/// with this mode where it is missing. Not durable.
Result<void> overwrite_file(const std::string& path, std::string_view content, mode_t mode = 0644);
/// All of it into an open file, and to the disk. `name` is for the error.
Result<void> write_through(int file, const std::string& name, std::string_view content);
/// mkdir(2) that is content with an existing directory.
Result<void> make_directory(const std::string& path, mode_t mode);

}  // namespace goldmill::agent
