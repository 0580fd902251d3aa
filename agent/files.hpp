// SPDX-License-Identifier: GPL-3.0-or-later
// Files as the agent reads and writes them: bounded, whole, durable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

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

/// At most `limit` bytes of a file; for sysfs, proc and our own files.
Result<std::string> read_file(const std::string& path, std::size_t limit = 65536);
/// A file of a stranger's file system: no link is followed, nothing outside `directory` is read.
Result<std::string> read_beneath(int directory, const char* path, std::size_t limit);

enum class Durable : std::uint8_t { at_once, later };

/// Replaces the file as a whole and durably: after a power cut it is the old or the new one.
/// `later`: not before the caller calls sync(2).
Result<void> write_file(const std::string& path,
                        std::string_view content,
                        mode_t mode,
                        Durable durable = Durable::at_once);
/// Other content for an existing file that is mounted elsewhere, too.
Result<void> overwrite_file(const std::string& path, std::string_view content);
/// mkdir(2) that is content with an existing directory.
Result<void> make_directory(const std::string& path, mode_t mode);

}  // namespace goldmill::agent
