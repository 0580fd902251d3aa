// SPDX-License-Identifier: GPL-3.0-or-later
// Faults: linked into a goldmill of its own, this stands between the program (libraries and workers
// too) and the C library, and makes the n-th change of a file the last one, or one that fails. The
// executable's own definitions come before the C library's, for every library that it loads.
//
// GOLDMILL_FAULTS names a file that a test maps: what to do, and the count of all processes.
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

enum Mode : std::uint32_t { count_only, kill_at, full_from, broken_at };
// A spell is what is written to one file with no other change in between, whose moments differ in
// nothing but the length of that file: its first write stands for it.
enum Kind : std::uint32_t { writes = 1, names = 2, syncs = 4, removals = 8, spells = 16 };

struct Control {
  std::atomic<std::uint64_t> count;
  std::uint64_t at;
  std::uint32_t mode;
  std::uint32_t kinds;
  std::atomic<std::uint32_t> tripped;
  std::atomic<std::uint64_t> last_file;  // of the write before, 0: another change came since
};

Control* control() {
  static Control* const kControl = []() -> Control* {
    const char* name = std::getenv("GOLDMILL_FAULTS");
    const int file = name == nullptr ? -1 : ::open(name, O_RDWR | O_CLOEXEC);
    void* mapped =
        file < 0 ? MAP_FAILED
                 : ::mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file >= 0) {
      ::close(file);
    }
    return mapped == MAP_FAILED ? nullptr : static_cast<Control*>(mapped);
  }();
  return kControl;
}

void die() {
  control()->tripped = 1;
  ::kill(::getpid(), SIGKILL);
  ::syscall(SYS_exit_group, 1);  // the first process of a namespace cannot kill itself
}

/// 0: go on; -1: this call is the last; else the error that it ends with. `file`: that is written.
int fate(std::uint32_t kind, std::uint64_t file = 0) {
  Control* const shared = control();
  if (shared == nullptr) {
    return 0;
  }
  if (shared->mode == kill_at && shared->tripped != 0) {
    die();  // another process died there: the machine is off
  }
  if (shared->last_file.exchange(file) != file && kind == writes) {
    kind |= spells;
  }
  if ((shared->kinds & kind) == 0) {
    return 0;
  }
  const std::uint64_t number = ++shared->count;
  if (shared->mode == kill_at && number == shared->at) {
    return -1;
  }
  if (shared->mode == full_from && number >= shared->at && kind != removals) {
    shared->tripped = 1;
    return ENOSPC;
  }
  if (shared->mode == broken_at && number == shared->at) {
    shared->tripped = 1;
    return EIO;
  }
  return 0;
}

/// The number of a regular file, 0 of anything else.
std::uint64_t file_number(int descriptor) {
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) ? status.st_ino : 0;
}

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

/// A write that is the last one happens by half.
template <typename Write>
ssize_t written(int descriptor, std::size_t size, const Write& write) {
  const std::uint64_t file = file_number(descriptor);
  const int end = file != 0 ? fate(writes, file) : 0;
  if (end > 0) {
    errno = end;
    return -1;
  }
  const ssize_t done = write(end < 0 ? size / 2 : size);
  if (end < 0) {
    die();
  }
  return done;
}

template <typename Call>
int called(Kind kind, const Call& call) {
  const int end = fate(kind);
  if (end < 0) {
    die();
  }
  if (end > 0) {
    errno = end;
    return -1;
  }
  return call();
}

}  // namespace

extern "C" {

ssize_t write(int descriptor, const void* data, size_t size) {
  static auto* const kReal = real<ssize_t(int, const void*, size_t)>("write");
  return written(descriptor, size, [&](size_t part) { return kReal(descriptor, data, part); });
}

ssize_t pwrite64(int descriptor, const void* data, size_t size, off64_t offset) {
  static auto* const kReal = real<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  return written(
      descriptor, size, [&](size_t part) { return kReal(descriptor, data, part, offset); });
}

// What was compiled without large files calls it by this name.
ssize_t small_pwrite(int descriptor, const void* data, size_t size, off_t offset) __asm__("pwrite");
ssize_t small_pwrite(int descriptor, const void* data, size_t size, off_t offset) {
  return pwrite64(descriptor, data, size, offset);
}

int rename(const char* from, const char* to) noexcept {
  static auto* const kReal = real<int(const char*, const char*)>("rename");
  return called(names, [&] { return kReal(from, to); });
}

int renameat(int from_at, const char* from, int to_at, const char* to) noexcept {
  static auto* const kReal = real<int(int, const char*, int, const char*)>("renameat");
  return called(names, [&] { return kReal(from_at, from, to_at, to); });
}

int renameat2(int from_at, const char* from, int to_at, const char* to, unsigned flags) noexcept {
  static auto* const kReal = real<int(int, const char*, int, const char*, unsigned)>("renameat2");
  return called(names, [&] { return kReal(from_at, from, to_at, to, flags); });
}

int linkat(int from_at, const char* from, int to_at, const char* to, int flags) noexcept {
  static auto* const kReal = real<int(int, const char*, int, const char*, int)>("linkat");
  return called(names, [&] { return kReal(from_at, from, to_at, to, flags); });
}

int unlink(const char* path) noexcept {
  static auto* const kReal = real<int(const char*)>("unlink");
  return called(removals, [&] { return kReal(path); });
}

int unlinkat(int at, const char* path, int flags) noexcept {
  static auto* const kReal = real<int(int, const char*, int)>("unlinkat");
  return called(removals, [&] { return kReal(at, path, flags); });
}

int fsync(int descriptor) {
  static auto* const kReal = real<int(int)>("fsync");
  return called(syncs, [&] { return kReal(descriptor); });
}

int fdatasync(int descriptor) {
  static auto* const kReal = real<int(int)>("fdatasync");
  return called(syncs, [&] { return kReal(descriptor); });
}

int syncfs(int descriptor) noexcept {
  static auto* const kReal = real<int(int)>("syncfs");
  return called(syncs, [&] { return kReal(descriptor); });
}

}  // extern "C"
