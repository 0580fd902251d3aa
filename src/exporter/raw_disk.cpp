// SPDX-License-Identifier: GPL-3.0-or-later
#include "raw_disk.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace goldmill::exporter {

Result<RawDisk> RawDisk::open(const std::filesystem::path& path) {
  system::UniqueFd file = TRY(system::open_file(path, O_RDONLY));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return Error{ErrorKind::invalid_input, path.string() + " is not a raw disk"};
  }
  return RawDisk(std::move(file), static_cast<std::uint64_t>(status.st_size));
}

Result<std::vector<Extent>> RawDisk::data() const {
  std::vector<Extent> extents;
  for (std::uint64_t at = 0; at < size_;) {
    const off_t begin = ::lseek(file_.get(), static_cast<off_t>(at), SEEK_DATA);
    if (begin < 0 && errno == ENXIO) {
      break;
    }
    const off_t end = begin < 0 ? -1 : ::lseek(file_.get(), begin, SEEK_HOLE);
    if (end < 0) {
      return system_error("cannot find the data of the disk", errno);
    }
    extents.push_back({static_cast<std::uint64_t>(begin), static_cast<std::uint64_t>(end)});
    at = static_cast<std::uint64_t>(end);
  }
  return extents;
}

Result<void> RawDisk::read(std::uint64_t offset, char* to, std::size_t size) const {
  while (size > 0) {
    const ssize_t count = ::pread(file_.get(), to, size, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return system_error("cannot read the disk", errno);
    }
    if (count == 0) {
      if (offset < size_) {
        return Error{ErrorKind::conflict, "the disk shrank while it was read"};
      }
      std::memset(to, 0, size);
      return {};
    }
    offset += static_cast<std::uint64_t>(count);
    to += count;
    size -= static_cast<std::size_t>(count);
  }
  return {};
}

Result<void> write_at(int file, std::uint64_t offset, const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t count = ::pwrite(file, bytes, size, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return system_error("cannot write the artifact", errno);
    }
    offset += static_cast<std::uint64_t>(count);
    bytes += count;
    size -= static_cast<std::size_t>(count);
  }
  return {};
}

bool is_zero(const char* bytes, std::size_t size) {
  return size == 0 || (bytes[0] == 0 && std::memcmp(bytes, bytes + 1, size - 1) == 0);
}

}  // namespace goldmill::exporter
