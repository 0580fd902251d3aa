// SPDX-License-Identifier: GPL-3.0-or-later
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <goldmill/system/file.hpp>
#include <goldmill/system/mount_point.hpp>

namespace goldmill::system {

namespace fs = std::filesystem;

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    reset();
    number_ = std::exchange(other.number_, -1);
  }
  return *this;
}

void UniqueFd::reset() {
  if (number_ >= 0) {
    ::close(number_);
    number_ = -1;
  }
}

void close_at_exec(unsigned first) {
  constexpr unsigned kUsuallyAll = 1024;  // for a kernel before 5.11
  if (::close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    for (unsigned number = first; number < kUsuallyAll; ++number) {
      ::fcntl(static_cast<int>(number), F_SETFD, FD_CLOEXEC);
    }
  }
}

Result<UniqueFd> open_file(const fs::path& path, int flags, mode_t mode) {
  UniqueFd file(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!file) {
    return system_error("cannot open " + path.string(), errno);
  }
  return file;
}

Result<UniqueFd> open_directory(const fs::path& path) {
  return open_file(path, O_RDONLY | O_DIRECTORY);
}

Result<void> read_pieces(int descriptor, const PieceTaker& take) {
  std::string piece(1U << 18, '\0');
  while (true) {
    const ssize_t count = ::read(descriptor, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return system_error("cannot read", errno);
    }
    if (count == 0) {
      return {};
    }
    TRY(take(std::string_view(piece).substr(0, static_cast<std::size_t>(count))));
  }
}

Result<std::string> read_all(int descriptor, Bytes limit) {
  std::string content;
  TRY(read_pieces(descriptor, [&](std::string_view piece) -> Result<void> {
    content.append(piece);
    if (content.size() > limit.value) {
      return Error{ErrorKind::invalid_input, "longer than the limit of " + to_text(limit)};
    }
    return {};
  }));
  return content;
}

Result<std::string> read_file(const fs::path& path, Bytes limit) {
  const UniqueFd file = TRY(open_file(path, O_RDONLY));
  return read_all(file.get(), limit).context(path.string());
}

Result<std::string> read_plain_file(const fs::path& path, Bytes limit) {
  // A FIFO would wait for a writer; of a plain file O_NONBLOCK means nothing.
  const UniqueFd file = TRY(open_file(path, O_RDONLY | O_NONBLOCK));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    return system_error("cannot look at " + path.string(), errno);
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorKind::invalid_input, path.string() + " is not a plain file"};
  }
  return read_all(file.get(), limit).context(path.string());
}

Result<Digest> digest_of(int descriptor) {
  Sha256 hash;
  TRY(read_pieces(descriptor, [&hash](std::string_view piece) {
    hash.update(piece);
    return Result<void>();
  }));
  return hash.finish();
}

Result<Digest> digest_of(const fs::path& file, int flags) {
  const UniqueFd opened = TRY(open_file(file, flags));
  return digest_of(opened.get()).context(file.string());
}

namespace {
template <typename Write>
Result<void> all_by(const Write& write, std::string_view content) {
  while (!content.empty()) {
    const ssize_t count = write(content);
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return system_error("cannot write", errno);
    }
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}
}  // namespace

Result<void> write_all(int descriptor, std::string_view content) {
  return all_by(
      [descriptor](std::string_view rest) { return ::write(descriptor, rest.data(), rest.size()); },
      content);
}

Result<void> send_all(int socket, std::string_view content) {
  return all_by(
      [socket](std::string_view rest) {
        return ::send(socket, rest.data(), rest.size(), MSG_NOSIGNAL);
      },
      content);
}

Result<UniqueFd> memory_file(std::string_view content, mode_t mode) {
  UniqueFd file(::memfd_create("goldmill", MFD_CLOEXEC));
  if (!file) {
    return system_error("cannot make a memory file", errno);
  }
  TRY(write_all(file.get(), content));
  if (::fchmod(file.get(), mode) != 0 || ::lseek(file.get(), 0, SEEK_SET) != 0) {
    return system_error("cannot prepare a memory file", errno);
  }
  return file;
}

namespace {
Result<void> sync_directory(const fs::path& path) {
  const UniqueFd directory = TRY(open_directory(path.empty() ? "." : path));
  if (::fsync(directory.get()) != 0) {
    return system_error("cannot sync " + path.string(), errno);
  }
  return {};
}

Result<void> fill_and_sync(int file, std::string_view content, mode_t mode) {
  TRY(write_all(file, content));
  if (::fchmod(file, mode) != 0) {
    return system_error("cannot set its mode", errno);
  }
  if (::fsync(file) != 0) {
    return system_error("cannot sync", errno);
  }
  struct stat status {};
  if (::fstat(file, &status) != 0) {
    return system_error("cannot look at it again", errno);
  }
  if (static_cast<std::size_t>(status.st_size) != content.size()) {
    return Error{ErrorKind::corrupt,
                 "the file system kept " + std::to_string(status.st_size) + " of " +
                     std::to_string(content.size()) + " bytes"};
  }
  return {};
}
}  // namespace

Result<void> write_file(const fs::path& path, std::string_view content, mode_t mode) {
  std::string temporary = path.string() + ".XXXXXX";
  UniqueFd file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file) {
    return system_error("cannot write beside " + path.string(), errno);
  }
  auto filled = fill_and_sync(file.get(), content, mode);
  if (filled && ::rename(temporary.c_str(), path.c_str()) != 0) {
    filled = system_error("cannot rename", errno);
  }
  if (!filled) {
    ::unlink(temporary.c_str());
    return std::move(filled).context(path.string());
  }
  return sync_directory(path.parent_path());
}

Result<void> rename_into_place(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0) {
    return system_error("cannot move " + from.string() + " to " + to.string(), errno);
  }
  return sync_directory(to.parent_path());
}

Result<void> exchange(const fs::path& one, const fs::path& other) {
  if (::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) != 0) {
    return system_error("cannot exchange " + one.string() + " and " + other.string(), errno);
  }
  return sync_directory(other.parent_path());
}

Result<void> make_directories(const fs::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) {
    return {};
  }
  if (errno == ENOENT && path.has_parent_path() && path.parent_path() != path) {
    TRY(make_directories(path.parent_path(), mode));
    if (::mkdir(path.c_str(), mode) == 0) {
      return {};
    }
  }
  const int failure = errno;
  std::error_code ignored;
  if (failure == EEXIST && fs::is_directory(path, ignored)) {
    return {};
  }
  return system_error("cannot make the directory " + path.string(), failure);
}

namespace {
Result<void> remove_at(int parent, const char* name);

Result<void> empty_directory(UniqueFd directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(directory.get()), &::closedir);
  if (!stream) {
    return system_error("cannot list a directory", errno);
  }
  const int number = directory.release();                  // now the stream's
  while (const dirent* entry = ::readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe)
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") {
      TRY(remove_at(number, entry->d_name));
    }
  }
  return {};
}

Result<void> remove_at(int parent, const char* name) {
  if (::unlinkat(parent, name, 0) == 0 || errno == ENOENT) {
    return {};
  }
  const int failure = errno;
  if (failure != EISDIR && failure != EPERM) {
    return system_error("cannot remove " + std::string(name), failure);
  }
  // A directory without permission bits is still ours to empty.
  (void)::fchmodat(parent, name, 0700, 0);
  UniqueFd directory(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) {
    return system_error("cannot remove " + std::string(name), failure);
  }
  TRY(check_nothing_mounted(directory.get(), name));
  TRY(empty_directory(std::move(directory)));
  if (::unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return system_error("cannot remove " + std::string(name), errno);
  }
  return {};
}
}  // namespace

Result<void> remove_tree(const fs::path& path) {
  return remove_at(AT_FDCWD, path.c_str()).context(path.string());
}

Result<Bytes> free_space(const fs::path& path) {
  struct statvfs status {};
  if (::statvfs(path.c_str(), &status) != 0) {
    return system_error("cannot ask for the free space of " + path.string(), errno);
  }
  return Bytes{status.f_bavail * status.f_frsize};
}

namespace {
Result<UniqueFd> locked(const fs::path& path, FileLock::Mode mode, int extra) {
  UniqueFd file = TRY(open_file(path, O_RDWR | O_CREAT, 0600));
  const int operation = (mode == FileLock::Mode::shared ? LOCK_SH : LOCK_EX) | extra;
  while (::flock(file.get(), operation) != 0) {
    if (errno == EINTR) {
      continue;
    }
    if (errno == EWOULDBLOCK) {
      return Error{ErrorKind::conflict, path.string() + " is locked by another goldmill"};
    }
    return system_error("cannot lock " + path.string(), errno);
  }
  return file;
}
}  // namespace

Result<FileLock> FileLock::acquire(const fs::path& path, Mode mode) {
  return FileLock(TRY(locked(path, mode, 0)));
}

Result<FileLock> FileLock::try_acquire(const fs::path& path, Mode mode) {
  return FileLock(TRY(locked(path, mode, LOCK_NB)));
}

Result<TemporaryDirectory> TemporaryDirectory::make(const fs::path& parent,
                                                    std::string_view prefix) {
  std::string name = (parent / prefix).string() + "XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) {
    return system_error("cannot make a directory in " + parent.string(), errno);
  }
  return TemporaryDirectory(fs::path(name));
}

TemporaryDirectory::~TemporaryDirectory() {
  if (!path_.empty()) {
    (void)remove_tree(path_);
  }
}

}  // namespace goldmill::system
