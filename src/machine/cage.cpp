// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <sstream>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goldmill/machine/cage.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::machine {

namespace {
using system::UniqueFd;

// Our one id inside a guest range: no account of a guest or of this machine has it.
constexpr std::uint32_t kCagedId = 64999;
constexpr const char* kRoot = "/tmp";  // replaced by a tmpfs in the cage's own mount namespace

struct IdMap {
  std::uint32_t user = 0;
  std::uint32_t group = 0;
  enum class Way : std::uint8_t { direct, tools, own_id } way = Way::direct;
};

/// How many ids from 0 on the caller's user namespace has.
std::uint64_t ids_of_caller() {
  const auto map = system::read_file("/proc/self/uid_map");
  std::istringstream fields(map ? *map : "");
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t count = 0;
  fields >> inside >> outside >> count;
  return inside == 0 ? count : 0;
}

/// The group that may use /dev/kvm, when the program wants it: as root we give it to the cage;
/// a plain user's supplementary groups stay with the process anyway.
std::optional<std::uint32_t> device_group(const CagedProgram& program) {
  for (const std::string& device : program.devices) {
    struct stat status {};
    if (::stat(device.c_str(), &status) == 0 && (status.st_mode & S_IWGRP) != 0) {
      return status.st_gid;
    }
  }
  return std::nullopt;
}

IdMap choose_ids(const CagedProgram& program) {
  if (::geteuid() == 0) {
    const auto ids = system::GuestIds::find();
    const std::uint64_t reserved = ids ? ids->users.first + std::uint64_t{kCagedId} : kCagedId;
    // Inside a worker the reserved range does not exist: there, ids 0..65535 are it already.
    const auto id = ids_of_caller() > reserved ? static_cast<std::uint32_t>(reserved) : kCagedId;
    return {id, device_group(program).value_or(id), IdMap::Way::direct};
  }
  if (const auto ids = system::GuestIds::find()) {
    return {ids->users.first + kCagedId, ids->groups.first + kCagedId, IdMap::Way::tools};
  }
  return {::geteuid(), ::getegid(), IdMap::Way::own_id};
}

std::string map_line(std::uint32_t id) {
  return "0 " + std::to_string(id) + " 1";
}

Result<void> write_map(const std::string& file, const std::string& line) {
  const UniqueFd map = TRY(system::open_file(file, O_WRONLY));
  return system::write_all(map.get(), line).context("cannot map the cage's id in " + file);
}

Result<void> write_maps(pid_t child, const IdMap& ids) {
  const std::string process = "/proc/" + std::to_string(child);
  if (ids.way == IdMap::Way::tools) {
    for (const auto& [tool, id] : {std::pair{"newuidmap", ids.user}, {"newgidmap", ids.group}}) {
      TRY(system::run_checked(
              system::process_runner(),
              system::Command{.argv = {tool, std::to_string(child), "0", std::to_string(id), "1"}})
              .context("cannot map the cage's id"));
    }
    return {};
  }
  if (ids.way == IdMap::Way::own_id) {
    TRY(write_map(process + "/setgroups", "deny"));
  }
  TRY(write_map(process + "/uid_map", map_line(ids.user)));
  return write_map(process + "/gid_map", map_line(ids.group));
}

/// One thing shown in the new root: a directory or file bound read-only, a device, or a link.
struct Shown {
  enum class Kind : std::uint8_t { directory, file, device, link } kind;
  std::string source;
  std::string target;
};

std::vector<Shown> shown_parts(const CagedProgram& program) {
  std::vector<Shown> parts = {{Shown::Kind::directory, "/usr", "/usr"}};
  for (const char* name : {"/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"}) {
    std::error_code failure;
    if (std::filesystem::is_symlink(name, failure)) {
      parts.push_back({Shown::Kind::link, std::filesystem::read_symlink(name, failure), name});
    } else if (std::filesystem::is_directory(name, failure)) {
      parts.push_back({Shown::Kind::directory, name, name});
    }
  }
  std::error_code failure;
  if (std::filesystem::exists("/etc/resolv.conf", failure)) {
    parts.push_back({Shown::Kind::file, "/etc/resolv.conf", "/etc/resolv.conf"});
  }
  for (const char* name : {"/dev/null", "/dev/zero", "/dev/urandom"}) {
    parts.push_back({Shown::Kind::device, name, name});
  }
  for (const std::string& name : program.devices) {
    parts.push_back({Shown::Kind::device, name, name});
  }
  for (Shown& part : parts) {
    part.target = kRoot + part.target;
  }
  return parts;
}

/// Everything the child needs, made before clone: after it only system calls are allowed.
struct Prepared {
  std::vector<char*> argv;
  std::vector<Shown> parts;
  std::vector<system::HandedFd> descriptors;
  std::vector<CagedFile> files;
  std::string preload;    // "LD_PRELOAD=...", or ""
  std::vector<int> kept;  // in order: the only descriptors of the caller that the child needs
  int go = -1;
  int report = -1;
  bool dies_with_caller = false;
  bool shows_descriptors = false;
  bool small_pages = false;
};

[[noreturn]] void fail(int report, const char* what) {
  const int number = errno;
  std::array<char, 128> text{};
  std::size_t length = 0;
  while (what[length] != '\0' && length < text.size() - 2) {
    text.at(length) = what[length];
    ++length;
  }
  text.at(length + 1) = static_cast<char>(number);  // after a zero byte: errno fits one byte
  (void)!::write(report, text.data(), length + 2);
  ::_exit(127);
}

void place(const Prepared& prepared, const Shown& part) {
  const char* target = part.target.c_str();
  if (part.kind == Shown::Kind::link) {
    if (::symlink(part.source.c_str(), target) != 0) {
      fail(prepared.report, "link in the new root");
    }
    return;
  }
  if (part.kind == Shown::Kind::directory) {
    ::mkdir(target, 0755);
  } else {
    const int file = ::open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    ::close(file);
  }
  const unsigned long bind = MS_BIND | (part.kind == Shown::Kind::directory ? MS_REC : 0);
  if (::mount(part.source.c_str(), target, nullptr, bind, nullptr) != 0) {
    if (part.kind == Shown::Kind::file) {
      return;  // resolv.conf may point to where this id cannot go; names then do not resolve
    }
    fail(prepared.report, part.source.c_str());
  }
  if (part.kind != Shown::Kind::device) {
    // Flags that the original has are locked here and must be repeated; try the usual sets.
    for (const unsigned long locked :
         {0UL, 0UL + MS_NODEV, 0UL + MS_NOSUID + MS_NODEV, 0UL + MS_RELATIME + MS_NODEV}) {
      if (::mount(nullptr,
                  target,
                  nullptr,
                  MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | locked,
                  nullptr) == 0) {
        return;
      }
    }
    fail(prepared.report, "read-only mount");
  }
}

void copy_in(const Prepared& prepared, const CagedFile& file) {
  std::array<char, 256> path{};
  std::size_t length = 0;
  for (const char* part : {kRoot, file.target.c_str()}) {
    for (; *part != '\0' && length < path.size() - 1; ++part) {
      path.at(length++) = *part;
    }
  }
  const int copy = ::open(path.data(), O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
  off_t offset = 0;
  ssize_t count = 0;
  do {
    count = ::sendfile(copy, file.source, &offset, 1U << 24);
  } while (count > 0);
  if (copy < 0 || count < 0) {
    fail(prepared.report, "copy a file into the cage");
  }
  ::close(copy);
}

/// Of /proc only this: the descriptors of process 1, which is the program itself.
void show_descriptors(const Prepared& prepared) {
  ::mkdir("/tmp/proc", 0755);
  ::mkdir("/tmp/fds", 0755);
  if (::mount("proc", "/tmp/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0 ||
      ::mount("/tmp/proc/1/fd", "/tmp/fds", nullptr, MS_BIND, nullptr) != 0 ||
      ::umount2("/tmp/proc", MNT_DETACH) != 0) {
    fail(prepared.report, "show its descriptors");
  }
  ::rmdir("/tmp/proc");
}

void build_root(const Prepared& prepared) {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("tmpfs", kRoot, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=256m") != 0) {
    fail(prepared.report, "mount the new root");
  }
  ::umask(022);
  ::mkdir("/tmp/etc", 0755);
  ::mkdir("/tmp/dev", 0755);
  ::mkdir("/tmp/old", 0755);
  for (const Shown& part : prepared.parts) {
    place(prepared, part);
  }
  for (const CagedFile& file : prepared.files) {
    copy_in(prepared, file);
  }
  if (prepared.shows_descriptors) {
    show_descriptors(prepared);
  }
  if (::chdir(kRoot) != 0 || ::syscall(SYS_pivot_root, ".", "old") != 0 ||
      ::umount2("/old", MNT_DETACH) != 0 || ::chdir("/") != 0) {
    fail(prepared.report, "enter the new root");
  }
  ::rmdir("/old");
  (void)::mount(
      nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr);
}

void drop_rights(const Prepared& prepared) {
  for (int capability = 0; ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; ++capability) {
  }
  constexpr unsigned long kNoRoot = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                    SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                                    SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> nothing{};
  const rlimit no_core{0, 0};
  if (::prctl(PR_SET_SECUREBITS, kNoRoot, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::syscall(SYS_capset, &header, nothing.data()) != 0 ||
      ::setrlimit(RLIMIT_CORE, &no_core) != 0) {
    fail(prepared.report, "give up rights");
  }
}

/// Lets go of all else at once: the pipes of other starts, which go on in other threads, must not
/// stay open because of us.
void close_others(const std::vector<int>& kept) {
  unsigned from = 0;
  for (const int number : kept) {
    const auto next = static_cast<unsigned>(number);
    if (next > from) {
      ::syscall(SYS_close_range, from, next - 1, 0U);
    }
    from = next + 1;
  }
  ::syscall(SYS_close_range, from, ~0U, 0U);
}

/// In the child, between clone and exec.
[[noreturn]] void become(const Prepared& prepared) {
  close_others(prepared.kept);
  char byte = 0;
  if (::read(prepared.go, &byte, 1) != 1) {
    ::_exit(126);  // the caller gave up
  }
  ::setsid();
  // Not by the C library, whose version changes all threads of a process that here has one.
  if (::syscall(SYS_setresgid, 0, 0, 0) != 0 || ::syscall(SYS_setresuid, 0, 0, 0) != 0) {
    fail(prepared.report, "take the cage's id");
  }
  // Supplementary groups stay when a plain user's kvm group is what opens /dev/kvm.
  build_root(prepared);
  drop_rights(prepared);
  if (prepared.small_pages && ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0) {
    fail(prepared.report, "do without huge pages");
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGINT, SIGTERM, SIGPIPE, SIGCHLD, SIGHUP}) {
    ::signal(number, SIG_DFL);
  }
  if (prepared.dies_with_caller) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    pollfd reader{prepared.report, 0, 0};
    if (::poll(&reader, 1, 0) > 0) {  // nobody waits for the report: the caller died before
      ::_exit(126);
    }
  }
  std::array<int, 64> moved{};
  const int report = ::fcntl(prepared.report, F_DUPFD_CLOEXEC, 400);
  for (std::size_t i = 0; i < prepared.descriptors.size(); ++i) {
    moved.at(i) = ::fcntl(prepared.descriptors[i].ours, F_DUPFD_CLOEXEC, 400);
  }
  system::close_at_exec(0);
  for (std::size_t i = 0; i < prepared.descriptors.size(); ++i) {
    if (::dup2(moved.at(i), prepared.descriptors[i].theirs) < 0) {
      fail(report, "hand over descriptors");
    }
  }
  const char* const preload = prepared.preload.empty() ? nullptr : prepared.preload.c_str();
  std::array<const char*, 5> environment = {
      "PATH=/usr/bin", "LC_ALL=C.UTF-8", "HOME=/", preload, nullptr};
  ::execve(prepared.argv[0], prepared.argv.data(), const_cast<char**>(environment.data()));
  fail(report, prepared.argv[0]);
}

struct Ends {
  UniqueFd read;
  UniqueFd write;
  static Result<Ends> make() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      return system_error("cannot make a pipe", errno);
    }
    return Ends{UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
};

Error clone_failed(int number) {
  Error error = system_error("cannot make a cage for QEMU: no user namespace", number);
  error.kind = ErrorKind::unavailable;
  error.hint =
      "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 and "
      "user.max_user_namespaces above 0; QEMU is never started outside its cage";
  return error;
}

/// Empty when exec succeeded; else what the child said.
Result<void> read_report(int report, const std::string& program) {
  const std::string said = TRY(system::read_all(report, 4_KiB));
  if (said.empty()) {
    return {};
  }
  const std::string what = said.c_str();
  const int number = static_cast<unsigned char>(said.back());
  Error error = system_error("cannot start " + program + " in its cage: " + what, number);
  if (what == program) {
    error.hint = "install the program that is missing (./scripts/build installs all of them)";
  }
  return error;
}

int flags_of(const CagedProgram& program) {
  return CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD |
         (program.network == CagedProgram::Network::none ? CLONE_NEWNET : 0);
}

Prepared prepare(const CagedProgram& program, int nothing) {
  Prepared prepared;
  prepared.argv = system::exec_list(program.argv);
  prepared.parts = shown_parts(program);
  prepared.files = program.files;
  prepared.preload = program.preload.empty() ? "" : "LD_PRELOAD=" + program.preload;
  prepared.descriptors = program.descriptors;
  const int output = program.output >= 0 ? program.output : nothing;
  prepared.descriptors.push_back({nothing, STDIN_FILENO});
  prepared.descriptors.push_back({output, STDOUT_FILENO});
  prepared.descriptors.push_back({output, STDERR_FILENO});
  prepared.shows_descriptors = program.shows_descriptors;
  prepared.small_pages = program.small_pages;
  prepared.dies_with_caller = program.lifetime == CagedProgram::Lifetime::with_caller;
  return prepared;
}
}  // namespace

Result<CagedProcess> start_caged(const CagedProgram& program) {
  GOLDMILL_ASSERT(!program.argv.empty() && program.descriptors.size() < 60);
  const UniqueFd nothing = TRY(system::open_file("/dev/null", O_RDWR));
  Ends go = TRY(Ends::make());
  Ends report = TRY(Ends::make());
  Prepared prepared = prepare(program, nothing.get());
  prepared.go = go.read.get();
  prepared.report = report.write.get();
  for (const system::HandedFd& handed : prepared.descriptors) {
    prepared.kept.push_back(handed.ours);
  }
  for (const CagedFile& file : prepared.files) {
    prepared.kept.push_back(file.source);
  }
  prepared.kept.insert(prepared.kept.end(), {prepared.go, prepared.report});
  std::sort(prepared.kept.begin(), prepared.kept.end());
  prepared.kept.erase(std::unique(prepared.kept.begin(), prepared.kept.end()), prepared.kept.end());
  const IdMap ids = choose_ids(program);
  const auto child = static_cast<pid_t>(
      ::syscall(SYS_clone, static_cast<unsigned long>(flags_of(program)), 0, 0, 0, 0));
  if (child < 0) {
    return clone_failed(errno);
  }
  if (child == 0) {
    become(prepared);
  }
  report.write.reset();
  auto started = write_maps(child, ids);
  if (started && program.before_run) {
    started = program.before_run(child);
  }
  if (started) {
    started = system::write_all(go.write.get(), "g");
  }
  go.write.reset();
  if (started) {
    started = read_report(report.read.get(), program.argv[0]);
  }
  if (!started) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    return std::move(started).error();
  }
  const bool weak = ids.way == IdMap::Way::own_id;
  return CagedProcess{child,
                      weak ? "QEMU runs under your own user id, because there are no "
                             "subordinate ids in /etc/subuid"
                           : ""};
}

}  // namespace goldmill::machine
