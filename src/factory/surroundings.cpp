// SPDX-License-Identifier: GPL-3.0-or-later
#include "surroundings.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <goldmill/system/memory.hpp>

namespace goldmill::factory {

namespace fs = std::filesystem;

namespace {
constexpr const char* kOtherHost = "other-builder.example.org";
constexpr const char* kOtherZone = "Pacific/Kiritimati";
constexpr const char* kOtherLocale = "tr_TR.UTF-8";
constexpr mode_t kOtherUmask = 0077;

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

Condition other_host_name() {
  Condition condition{"host name", host_name(), ""};
  if (::unshare(CLONE_NEWUTS) == 0) {
    (void)::sethostname(kOtherHost, std::char_traits<char>::length(kOtherHost));
  }
  condition.second = host_name();
  return condition;
}

std::string core_count() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  return ::sched_getaffinity(0, sizeof cores, &cores) == 0 ? std::to_string(CPU_COUNT(&cores)) : "";
}

/// One of those that this process may use.
Condition one_core() {
  Condition condition{"cores", core_count(), ""};
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (::sched_getaffinity(0, sizeof cores, &cores) == 0) {
    std::size_t last = 0;
    for (std::size_t core = 0; core < CPU_SETSIZE; ++core) {
      last = CPU_ISSET(core, &cores) ? core : last;
    }
    CPU_ZERO(&cores);
    CPU_SET(last, &cores);
    (void)::sched_setaffinity(0, sizeof cores, &cores);
  }
  condition.second = core_count();
  return condition;
}

Condition other_setting(const char* name, const char* variable, const char* value) {
  // NOLINTBEGIN(concurrency-mt-unsafe): this worker's other thread only waits
  const char* const before = std::getenv(variable);
  Condition condition{name, before == nullptr ? "the machine's" : before, value};
  ::setenv(variable, value, 1);
  // NOLINTEND(concurrency-mt-unsafe)
  return condition;
}

Condition other_umask() {
  const auto text = [](mode_t mask) {
    std::array<char, 16> digits{};
    (void)std::snprintf(digits.data(), digits.size(), "%04o", mask);
    return std::string(digits.data());
  };
  return {"umask", text(::umask(kOtherUmask)), text(kOtherUmask)};
}

std::string file_system_of(const fs::path& path) {
  struct statfs status {};
  if (::statfs(path.c_str(), &status) != 0) {
    return "";
  }
  switch (static_cast<unsigned long>(status.f_type)) {
    case EXT4_SUPER_MAGIC:
      return "of ext4";
    case TMPFS_MAGIC:
      return "of tmpfs";
    case BTRFS_SUPER_MAGIC:
      return "of btrfs";
    case XFS_SUPER_MAGIC:
      return "of xfs";
    default: {
      std::array<char, 32> text{};
      (void)std::snprintf(text.data(),
                          text.size(),
                          "of file system %lx",
                          static_cast<unsigned long>(status.f_type));
      return text.data();
    }
  }
}

/// A file system in memory lists the newest name first, others by hash. It goes with our mount
/// namespace, whatever becomes of us.
void mount_in_memory(const fs::path& home, Bytes space) {
  constexpr const char* kProbe = "user.goldmill.probe";  // layers need these; old kernels lack them
  if (file_system_of(home) == "of tmpfs" ||
      system::available_memory().value < space.value + (2_GiB).value ||
      ::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return;
  }
  const std::string options = "mode=0700,size=" + std::to_string(space.value);
  if (::mount("goldmill", home.c_str(), "tmpfs", MS_NODEV, options.c_str()) != 0) {
    return;
  }
  if (::setxattr(home.c_str(), kProbe, "y", 1, 0) != 0) {
    (void)::umount2(home.c_str(), MNT_DETACH);
  }
}
}  // namespace

std::string time_text(std::int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  std::array<char, 64> text{};
  if (::gmtime_r(&time, &parts) != nullptr) {
    (void)std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  }
  return text.data();
}

Result<std::vector<Condition>> change_surroundings(const fs::path& home, Bytes space) {
  if (::chdir("/") != 0) {
    return system_error("cannot leave the working directory", errno);
  }
  Condition order{"directory order", file_system_of(home), ""};
  mount_in_memory(home, space);
  order.second = file_system_of(home);
  return std::vector<Condition>{std::move(order),
                                one_core(),
                                other_host_name(),
                                other_setting("time zone", "TZ", kOtherZone),
                                other_setting("locale", "LC_ALL", kOtherLocale),
                                other_umask()};
}

}  // namespace goldmill::factory
