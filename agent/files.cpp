// SPDX-License-Identifier: GPL-3.0-or-later
#include "files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace goldmill::agent {
namespace {

Result<std::string> read_descriptor(int file, const std::string& name, std::size_t limit) {
  std::string content;
  char buffer[4096];
  while (content.size() < limit) {
    const ssize_t count = read(file, buffer, std::min(sizeof(buffer), limit - content.size()));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return system_error("reading " + name, errno);
    }
    if (count == 0) {
      break;
    }
    content.append(buffer, static_cast<std::size_t>(count));
  }
  return content;
}

Result<void> write_content(int file, const std::string& name, std::string_view content) {
  while (!content.empty()) {
    const ssize_t count = write(file, content.data(), content.size());
    if (count < 0 && errno != EINTR) {
      return system_error("writing " + name, errno);
    }
    content.remove_prefix(count < 0 ? 0 : static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) {
    close(number_);
  }
}

bool exists(const char* path) {
  struct stat status {};
  return stat(path, &status) == 0;
}

std::vector<std::string> names_in(const std::string& path, int at) {
  std::vector<std::string> names;
  DIR* entries = fdopendir(openat(at, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (entries == nullptr) {
    return names;
  }
  while (const dirent* entry = readdir(entries)) {
    if (entry->d_name[0] != '.') {
      names.emplace_back(entry->d_name);
    }
  }
  closedir(entries);
  return names;
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    return system_error("opening " + path, errno);
  }
  return read_descriptor(file.get(), path, limit);
}

Result<std::string> read_beneath(int directory, const char* path, std::size_t limit) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const Descriptor file(static_cast<int>(syscall(SYS_openat2, directory, path, &how, sizeof(how))));
  if (!file) {
    return system_error(std::string("opening ") + path, errno);
  }
  return read_descriptor(file.get(), path, limit);
}

Result<void> write_through(int file, const std::string& name, std::string_view content) {
  TRY(write_content(file, name, content));
  return fsync(file) == 0 ? Result<void>() : system_error("syncing " + name, errno);
}

Result<void> write_file(const std::string& path, std::string_view content, mode_t mode) {
  const std::string temporary = path + ".goldmill-new";
  unlink(temporary.c_str());
  const Descriptor file(
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) {
    return system_error("creating " + temporary, errno);
  }
  TRY(write_through(file.get(), temporary, content));
  if (fchmod(file.get(), mode) != 0 || rename(temporary.c_str(), path.c_str()) != 0) {
    return system_error("placing " + path, errno);
  }
  const std::string parent = path.substr(0, path.rfind('/'));
  const Descriptor directory(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || fsync(directory.get()) != 0) {
    return system_error("syncing " + parent, errno);
  }
  return {};
}

Result<void> overwrite_file(const std::string& path, std::string_view content, mode_t mode) {
  const Descriptor file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, mode));
  struct stat status {};
  if (!file || fstat(file.get(), &status) != 0) {
    return system_error("opening " + path, errno);
  }
  // Not when it is opened: to give back pages costs a guest under emulation more than to fill them.
  const auto size = static_cast<off_t>(content.size());
  if (status.st_size > size && ftruncate(file.get(), size) != 0) {
    return system_error("shortening " + path, errno);
  }
  return write_content(file.get(), path, content);
}

Result<void> make_directory(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return system_error("creating " + path, errno);
  }
  return {};
}

}  // namespace goldmill::agent
