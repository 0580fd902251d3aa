// SPDX-License-Identifier: GPL-3.0-or-later
#include "output_file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace goldmill::exporter {

namespace fs = std::filesystem;
using system::UniqueFd;

namespace {
fs::path directory_of(const fs::path& target) {
  return target.has_parent_path() ? target.parent_path() : fs::path(".");
}

Error cannot_write(const fs::path& directory, int number) {
  Error error = system_error("cannot write in " + directory.string(), number);
  error.hint = number == ENOENT    ? "make that directory first"
               : number == ENOTDIR ? "give a file in a directory"
                                   : "give a directory that you may write in, with space";
  return error;
}

std::string temporary_pattern(const fs::path& target) {
  return (directory_of(target) / ("." + target.filename().string() + ".XXXXXX")).string();
}
}  // namespace

OutputFile::OutputFile(OutputFile&& other) noexcept
    : target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      file_(std::move(other.file_)) {}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) {
    ::unlink(temporary_.c_str());
  }
}

Result<OutputFile> OutputFile::open(const fs::path& target) {
  struct stat status {};
  if (::stat(target.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    return Error{ErrorKind::invalid_input,
                 target.string() + " is not a regular file",
                 "give the name of a file, new or to be replaced"};
  }
  const fs::path directory = directory_of(target);
  UniqueFd file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644));
  if (file) {
    return OutputFile(target, "", std::move(file));
  }
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) {
    return cannot_write(directory, errno);
  }
  std::string temporary = temporary_pattern(target);
  file = UniqueFd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file || ::fchmod(file.get(), 0644) != 0) {
    return cannot_write(directory, errno);
  }
  return OutputFile(target, temporary, std::move(file));
}

Result<void> OutputFile::name_it() {
  if (!temporary_.empty()) {
    return {};
  }
  const std::string self = "/proc/self/fd/" + std::to_string(file_.get());
  // linkat cannot replace: take a free name first.
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::string name = temporary_pattern(target_);
    name.replace(name.size() - 6, 6, std::to_string(::getpid()) + "-" + std::to_string(attempt));
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      temporary_ = name;
      return {};
    }
    if (errno != EEXIST) {
      break;
    }
  }
  return system_error("cannot name " + target_.string(), errno);
}

Result<void> OutputFile::commit() {
  if (::fsync(file_.get()) != 0) {
    return system_error("cannot sync " + target_.string(), errno);
  }
  TRY(name_it());
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
    return system_error("cannot name " + target_.string(), errno);
  }
  temporary_.clear();
  const UniqueFd directory = TRY(system::open_directory(directory_of(target_)));
  if (::fsync(directory.get()) != 0) {
    return system_error("cannot sync the directory of " + target_.string(), errno);
  }
  return {};
}

}  // namespace goldmill::exporter
