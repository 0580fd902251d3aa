// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <set>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/image/fat.hpp>
#include <goldmill/system/file.hpp>

#include "region.hpp"

namespace goldmill::image {

using system::UniqueFd;

namespace {
constexpr int kImage = 60;  // descriptor numbers in mtools's process
constexpr int kSource = 61;
constexpr std::int64_t kFirstFatDate = 315532800;  // 1980-01-01

Result<UniqueFd> memory_file(const char* name) {
  UniqueFd file(::memfd_create(name, MFD_CLOEXEC));
  if (!file) {
    return system_error("cannot make a memory file", errno);
  }
  return file;
}

class Mtools {
 public:
  Mtools(int image, std::int64_t epoch, system::ProcessRunner& runner)
      : image_(image), epoch_(std::max(epoch, kFirstFatDate)), runner_(runner) {}

  Result<void> run(std::vector<std::string> argv, int source = -1) {
    system::Command command;
    argv.insert(argv.begin() + 1, {"-i", "/proc/self/fd/" + std::to_string(kImage)});
    command.argv = std::move(argv);
    command.environment = std::vector<std::string>{"PATH=/usr/bin:/bin:/usr/sbin:/sbin",
                                                   "LC_ALL=C.UTF-8",
                                                   "TZ=UTC",
                                                   "MTOOLSRC=/dev/null",
                                                   "MTOOLS_SKIP_CHECK=1",
                                                   "SOURCE_DATE_EPOCH=" + std::to_string(epoch_)};
    command.descriptors = {{image_, kImage}};
    if (source >= 0) {
      command.descriptors.push_back({source, kSource});
    }
    TRY(system::run_checked(runner_, command));
    return {};
  }

  Result<void> copy_in(const FatFile& file) {
    const UniqueFd source = TRY(memory_file("file"));
    TRY(system::write_all(source.get(), file.content));
    ::lseek(source.get(), 0, SEEK_SET);
    const std::array<timespec, 2> times = {timespec{epoch_, 0}, timespec{epoch_, 0}};
    if (::futimens(source.get(), times.data()) != 0) {
      return system_error("cannot set a time", errno);
    }
    return run({"mcopy", "-m", "/proc/self/fd/" + std::to_string(kSource), "::/" + file.path},
               source.get());
  }

 private:
  int image_;
  std::int64_t epoch_;
  system::ProcessRunner& runner_;
};

/// Each directory above the files, parents first.
std::set<std::string> directories_of(const std::vector<FatFile>& files) {
  std::set<std::string> directories;
  for (const FatFile& file : files) {
    for (std::size_t slash = file.path.find('/'); slash != std::string::npos;
         slash = file.path.find('/', slash + 1)) {
      directories.insert(file.path.substr(0, slash));
    }
  }
  return directories;
}
}  // namespace

Result<void> write_fat(int disk,
                       const FatOptions& options,
                       const std::vector<FatFile>& files,
                       system::ProcessRunner& runner) {
  const UniqueFd image = TRY(memory_file("fat"));
  if (::ftruncate(image.get(), static_cast<off_t>(options.size)) != 0) {
    return system_error("cannot size a memory file", errno);
  }
  Mtools mtools(image.get(), options.epoch, runner);
  std::array<char, 16> serial{};
  (void)std::snprintf(serial.data(), serial.size(), "%08x", options.serial);
  TRY(mtools.run({"mformat", "-F", "-N", serial.data(), "-v", options.label, "::"}));
  for (const std::string& directory : directories_of(files)) {
    TRY(mtools.run({"mmd", "::/" + directory}));
  }
  for (const FatFile& file : files) {
    TRY(mtools.copy_in(file).context(file.path));
  }
  return copy_data(image.get(), options.size, disk, options.offset);
}

}  // namespace goldmill::image
