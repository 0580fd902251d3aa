// SPDX-License-Identifier: GPL-3.0-or-later
// Files as the rest of goldmill uses them: owned descriptors, durable writes, locks, scratch space.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/types.h>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/digest.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::system {

/// A file descriptor that is closed when its owner goes.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int number) : number_(number) {}
  UniqueFd(UniqueFd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }
  int release() { return std::exchange(number_, -1); }
  void reset();

 private:
  int number_ = -1;
};

/// open(2) with O_CLOEXEC, its errors naming the path.
Result<UniqueFd> open_file(const std::filesystem::path& path, int flags, mode_t mode = 0644);
Result<UniqueFd> open_directory(const std::filesystem::path& path);

/// Descriptors from `first` on stay behind at the next exec. System calls only: for a child between
/// clone and exec.
void close_at_exec(unsigned first);

/// Reads from where the descriptor stands to the end, and hands over piece after piece. Errors: the
/// taker's own, which ends it.
using PieceTaker = std::function<Result<void>(std::string_view piece)>;
Result<void> read_pieces(int descriptor, const PieceTaker& take);

/// The whole file. Errors: invalid_input when it is longer than `limit`.
Result<std::string> read_file(const std::filesystem::path& path, Bytes limit = 256_MiB);
/// As read_file(), for what somebody else named: it never waits. Errors: invalid_input also for a
/// directory, a device or a FIFO.
Result<std::string> read_plain_file(const std::filesystem::path& path, Bytes limit = 256_MiB);
Result<std::string> read_all(int descriptor, Bytes limit = 256_MiB);
/// The SHA-256 of what follows from where the descriptor stands.
Result<Digest> digest_of(int descriptor);
/// The same of a whole file, opened with these flags.
Result<Digest> digest_of(const std::filesystem::path& file, int flags = O_RDONLY);
Result<void> write_all(int descriptor, std::string_view content);
/// As write_all(), to a socket: a peer that has gone is an error here, too, and never a signal.
Result<void> send_all(int socket, std::string_view content);

/// Replaces the file as a whole: temporary file, fsync, rename, fsync of the directory, so that
/// after a crash there is the old content or the new one.
Result<void> write_file(const std::filesystem::path& path,
                        std::string_view content,
                        mode_t mode = 0644);

/// A file without a name whose content never reaches a disk, for a process that is handed it; it
/// stands at its start. Whoever is handed it may open it again (/dev/stdin, under guest ids too),
/// unless `mode` says less.
Result<UniqueFd> memory_file(std::string_view content, mode_t mode = 0777);

/// Moves a finished file or directory to its name durably. Errors: conflict when it exists.
Result<void> rename_into_place(const std::filesystem::path& from, const std::filesystem::path& to);

/// Each gets the other's name, at one moment and durably where the second lies.
Result<void> exchange(const std::filesystem::path& one, const std::filesystem::path& other);

Result<void> make_directories(const std::filesystem::path& path, mode_t mode = 0755);

/// Removes a tree without ever following a link out of it; a missing one is no error.
Result<void> remove_tree(const std::filesystem::path& path);

/// Free space of the file system that holds `path`.
Result<Bytes> free_space(const std::filesystem::path& path);

/// flock(2) on a file made when missing; the kernel lets go when the process dies.
class FileLock {
 public:
  enum class Mode { shared, exclusive };
  /// Waits until it is free.
  static Result<FileLock> acquire(const std::filesystem::path& path, Mode mode);
  /// Errors: conflict when another holds it.
  static Result<FileLock> try_acquire(const std::filesystem::path& path, Mode mode);

 private:
  explicit FileLock(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;
};

/// A directory that goes with its owner.
class TemporaryDirectory {
 public:
  static Result<TemporaryDirectory> make(const std::filesystem::path& parent,
                                         std::string_view prefix);
  TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace goldmill::system
