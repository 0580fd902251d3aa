// SPDX-License-Identifier: GPL-3.0-or-later
#include "settle.hpp"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.hpp"
#include "held_files.hpp"
#include "link.hpp"
#include "text.hpp"

namespace goldmill::agent {
namespace {

constexpr const char* kSystemctl = "/usr/bin/systemctl";
constexpr std::size_t kKeptFree = std::size_t{24} << 20U;  // for what runs meanwhile

/// Fixed commands only: nothing that a host says comes here. Its exit status; a unit that is not
/// there is no failure.
Result<int> systemctl(const std::vector<std::string>& words) {
  std::vector<std::string> list = {kSystemctl, "--quiet"};
  list.insert(list.end(), words.begin(), words.end());
  std::vector<char*> argv;
  argv.reserve(list.size() + 1);
  for (std::string& word : list) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  std::string locale = "LC_ALL=C";
  char* environment[] = {locale.data(), nullptr};
  pid_t child = -1;
  const int failure = posix_spawn(&child, kSystemctl, nullptr, nullptr, argv.data(), environment);
  if (failure != 0) {
    return system_error(std::string("starting ") + kSystemctl, failure);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/// Everything below a directory, never following a link.
void remove_below(int directory) {
  DIR* entries = fdopendir(directory);
  if (entries == nullptr) {
    return;
  }
  while (const dirent* entry = readdir(entries)) {
    const std::string name = entry->d_name;
    if (name == "." || name == ".." || unlinkat(dirfd(entries), name.c_str(), 0) == 0) {
      continue;
    }
    const int below =
        openat(dirfd(entries), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below >= 0) {
      remove_below(below);
      unlinkat(dirfd(entries), name.c_str(), AT_REMOVEDIR);
    }
  }
  closedir(entries);
}

/// What belongs to this guest alone; each copy makes its own.
void remove_identity() {
  for (const char* file : {"/etc/ssh/ssh_host_ed25519_key",
                           "/etc/ssh/ssh_host_ed25519_key.pub",
                           "/var/lib/systemd/credential.secret",
                           "/var/lib/systemd/random-seed"}) {
    unlink(file);
  }
  for (const char* journal : {"/var/log/journal", "/run/log/journal"}) {
    const int directory = open(journal, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory >= 0) {
      remove_below(directory);
    }
  }
}

using Run = std::function<void(const std::vector<std::string>& words)>;

Run runner(const Warn& warn) {
  return [&warn](const std::vector<std::string>& words) {
    if (const auto outcome = systemctl(words); !outcome) {
      warn("settle", outcome.error().text());
    }
  };
}

/// What would keep a copy awake, or wake when its name, clock and cable change.
constexpr const char* kParked[] = {"systemd-networkd.socket",
                                   "systemd-networkd.service",
                                   "systemd-resolved.service",
                                   "systemd-timesyncd.service",
                                   "systemd-udevd.service"};  // its sockets start it for an event

/// PID 1 speaks when the clock changes: its first word would start the journal in every copy at
/// once, which costs more than all the rest.
void set_log_level(const Run& run, const std::string& level) {
  run({"log-level", level});
}

/// kcompactd looks twice a second whether memory is fragmented, unless its setting is 0.
void set_compaction(bool wanted) {
  constexpr const char* kDefault = "20";  // sysctl/vm of the kernel's documentation
  static_cast<void>(
      overwrite_file("/proc/sys/vm/compaction_proactiveness", wanted ? kDefault : "0"));
}

/// An interface that gets another address and a cable looks for its neighbours by IPv6: more work
/// in each copy than its IPv4 address is.
void set_ipv6(bool wanted) {
  for (const std::string& link : ethernet_links()) {
    static_cast<void>(
        overwrite_file("/proc/sys/net/ipv6/conf/" + link + "/disable_ipv6", wanted ? "0" : "1"));
  }
}

/// Over the kernel's boot id, which is the same in all copies: a file that each gives a content.
Result<void> cover_boot_id() {
  constexpr const char* kBootId = "/proc/sys/kernel/random/boot_id";
  const std::string id = TRY(read_file(kBootId, 64));
  TRY(write_file(kShownBootId, id, 0444));
  if (mount(kShownBootId, kBootId, nullptr, MS_BIND, nullptr) != 0) {
    return system_error("covering the boot id", errno);
  }
  return {};
}

/// Pages of zeros need no room in the saved state.
void clear_free_memory() {
  sync();
  const Descriptor caches(open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));
  if (!caches || write(caches.get(), "3", 1) != 1) {
    return;
  }
  const auto info = read_file("/proc/meminfo");
  for (const std::string_view line : lines_of(info ? info.value() : "")) {
    if (!line.starts_with("MemFree:")) {
      continue;
    }
    const std::string_view number = trimmed(line.substr(8, line.find("kB") - 8));
    const std::size_t free = parse_number(number).value_or(0) * 1024;
    const std::size_t length = free > kKeptFree ? free - kKeptFree : 0;
    void* area = length == 0 ? MAP_FAILED
                             : mmap(nullptr,
                                    length,
                                    PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
                                    -1,
                                    0);
    if (area != MAP_FAILED) {
      munmap(area, length);
    }
  }
}

}  // namespace

void run_before_others(bool before) {
  const sched_param priority{.sched_priority = before ? 1 : 0};
  sched_setscheduler(0, before ? SCHED_FIFO : SCHED_OTHER, &priority);
}

void wake(const Warn& warn) {
  const auto run = runner(warn);
  set_log_level(run, "info");
  set_compaction(true);
  set_ipv6(true);
  std::vector<std::string> words = {"--no-block", "start", "timers.target", "getty.target"};
  words.insert(words.end(), std::begin(kParked), std::end(kParked));
  run(words);
}

void start_network(const Warn& warn) {
  set_ipv6(true);
  runner(warn)({"--no-block", "start", "systemd-networkd.service", "systemd-resolved.service"});
}

void settle(const Warn& warn) {
  const auto run = runner(warn);
  run({"is-system-running", "--wait"});
  std::vector<std::string> words = {"stop", "*.timer", "getty@*.service", "serial-getty@*.service"};
  words.insert(words.end(), std::begin(kParked), std::end(kParked));
  run(words);
  if (exists("/usr/lib/systemd/system/ssh.socket")) {
    run({"stop", "ssh.service"});
    run({"start", "ssh.socket"});
  }
  set_log_level(run, "warning");
  set_compaction(false);
  set_ipv6(false);
  if (const auto covered = cover_boot_id(); !covered) {
    warn("boot-id", covered.error().text());
  }
  // Last of the services: each message would start it again.
  run({"stop", "systemd-journald.service"});
  remove_identity();
  if (const auto held = hold_files(); !held) {
    warn("settle", held.error().text());
  }
  clear_free_memory();
  run_before_others(true);
}

}  // namespace goldmill::agent
