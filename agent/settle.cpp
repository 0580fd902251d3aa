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
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "files.hpp"
#include "held_files.hpp"
#include "link.hpp"
#include "program.hpp"
#include "text.hpp"

namespace goldmill::agent {
namespace {

constexpr std::size_t kKeptFree = std::size_t{24} << 20U;  // for what runs meanwhile

/// A unit that is not there is no failure.
Result<std::string> systemctl(const std::vector<std::string>& words) {
  return run_program("/usr/bin/systemctl", words);
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

using Run = std::function<void(std::vector<std::string> words)>;

Run runner(const Warn& warn) {
  return [&warn](std::vector<std::string> words) {
    words.insert(words.begin(), "--quiet");  // its hints would go to the journal, and start it
    if (const auto outcome = systemctl(words); !outcome) {
      warn("settle", outcome.error().text());
    }
  };
}

constexpr const char* kNetworkUnits[] = {"systemd-networkd.service", "systemd-resolved.service"};
/// What would keep a copy awake, or wake when its name, clock and cable change.
constexpr const char* kWakeful[] = {"systemd-networkd.socket",
                                    "systemd-networkd.service",
                                    "systemd-resolved.service",
                                    "systemd-timesyncd.service",
                                    "systemd-udevd.service"};  // its sockets start it for an event
/// What starts these again, each with all that belongs to it.
constexpr const char* kTargets[] = {"timers.target", "getty.target"};

/// Those of kWakeful and kTargets that run: an image may have any of them off.
std::vector<std::string> running_units() {
  std::vector<std::string> wanted(std::begin(kWakeful), std::end(kWakeful));
  wanted.insert(wanted.end(), std::begin(kTargets), std::end(kTargets));
  std::vector<std::string> words = {"is-active"};
  words.insert(words.end(), wanted.begin(), wanted.end());
  const auto said = systemctl(words);
  const std::string text = said ? said.value() : "";
  const auto states = lines_of(text);
  if (states.size() != wanted.size()) {
    return wanted;  // not known: rather too much in a copy than nothing
  }
  std::vector<std::string> running;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (states[i] == "active") {
      running.push_back(wanted[i]);
    }
  }
  return running;
}

/// Another value of the kernel's setting, and the one before to `parked`.
void change(const std::string& file, const char* value, Parked& parked) {
  const auto before = read_file(file, 64);
  if (before && overwrite_file(file, value)) {
    parked.settings.emplace_back(file, std::string(trimmed(before.value())));
  }
}

void change_settings(Parked& parked) {
  // kcompactd looks twice a second whether memory is fragmented, unless its setting is 0.
  change("/proc/sys/vm/compaction_proactiveness", "0", parked);
  // An interface that gets another address and a cable looks for its neighbours by IPv6: more work
  // in each copy than its IPv4 address is.
  for (const std::string& link : ethernet_links()) {
    change("/proc/sys/net/ipv6/conf/" + link + "/disable_ipv6", "1", parked);
  }
}

/// Those whose files begin so.
void restore_settings(const Parked& parked, std::string_view start) {
  for (const auto& [file, value] : parked.settings) {
    if (file.starts_with(start)) {
      static_cast<void>(overwrite_file(file, value));
    }
  }
}

/// Of these, those that ran.
void start_again(const Parked& parked, const std::vector<std::string>& units, const Run& run) {
  std::vector<std::string> words = {"--no-block", "start"};
  for (const std::string& unit : units) {
    if (std::find(parked.units.begin(), parked.units.end(), unit) != parked.units.end()) {
      words.push_back(unit);
    }
  }
  if (words.size() > 2) {
    run(words);
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

void wake(const Parked& parked, const Warn& warn) {
  const auto run = runner(warn);
  if (!parked.log_level.empty()) {
    run({"log-level", parked.log_level});
  }
  restore_settings(parked, "/proc/");
  start_again(parked, parked.units, run);
}

void start_network(const Parked& parked, const Warn& warn) {
  restore_settings(parked, "/proc/sys/net/");
  start_again(parked, {std::begin(kNetworkUnits), std::end(kNetworkUnits)}, runner(warn));
}

Parked settle(const Warn& warn) {
  const auto run = runner(warn);
  run({"is-system-running", "--wait"});
  Parked parked;
  parked.units = running_units();
  std::vector<std::string> words = {"stop", "*.timer", "getty@*.service", "serial-getty@*.service"};
  words.insert(words.end(), std::begin(kWakeful), std::end(kWakeful));
  run(words);
  if (exists("/usr/lib/systemd/system/ssh.socket")) {
    run({"stop", "ssh.service"});
    run({"start", "ssh.socket"});
  }
  // PID 1 speaks when the clock changes: its first word would start the journal in every copy at
  // once, which costs more than all the rest.
  const auto level = systemctl({"log-level"});
  parked.log_level = level ? std::string(trimmed(level.value())) : "";
  if (!parked.log_level.empty()) {
    run({"log-level", "warning"});
  }
  change_settings(parked);
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
  return parked;
}

}  // namespace goldmill::agent
