// SPDX-License-Identifier: GPL-3.0-or-later
// The inside of OverlaySandbox: PID 1 of the namespaces that one call runs in.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confinement.hpp"
#include "mounts.hpp"
#include "sandbox_request.hpp"

namespace goldmill::build {

using system::UniqueFd;
using Clock = std::chrono::steady_clock;

namespace {
constexpr unsigned kPlain = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
constexpr std::size_t kLongestLine = 4096;

// ---- the view ----

Result<OverlayPlan> overlay_plan(const system::WorkerContext& context,
                                 const SandboxRequest& request) {
  OverlayPlan plan;
  std::size_t next = 0;
  if (request.writable) {
    plan.work = context.hand(next++);
  }
  for (int i = 0; i < request.layers; ++i) {
    plan.layers.push_back(context.hand(next++));
  }
  return plan;
}

Result<void> write_new(int directory, const std::string& path, std::string_view text, mode_t mode) {
  const UniqueFd file(::openat(
      directory, path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!file) {
    return system_error("cannot make " + path, errno);
  }
  return system::write_all(file.get(), text);
}

Result<void> attach_inside(const UniqueFd& mount, int root, const std::string& path) {
  const UniqueFd target = TRY(open_inside(root, path, O_PATH | O_DIRECTORY));
  return attach(mount.get(), target.get(), path);
}

Result<void> mount_devices(int root) {
  const UniqueFd dev = TRY(new_mount(
      "tmpfs", {{"mode", "0755"}, {"size", "4m"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
  for (const char* name : {"pts", "shm", "mqueue"}) {
    ::mkdirat(dev.get(), name, 0755);
  }
  for (const auto& [link, to] : {std::pair{"fd", "/proc/self/fd"},
                                 {"stdin", "/proc/self/fd/0"},
                                 {"stdout", "/proc/self/fd/1"},
                                 {"stderr", "/proc/self/fd/2"},
                                 {"ptmx", "pts/ptmx"},
                                 {"core", "/proc/kcore"}}) {
    ::symlinkat(to, dev.get(), link);
  }
  TRY(attach_inside(dev, root, "/dev"));
  for (const char* name : {"null", "zero", "full", "random", "urandom", "tty"}) {
    TRY(write_new(dev.get(), name, "", 0666));
    const UniqueFd node = TRY(clone_mount(AT_FDCWD, (std::string("/dev/") + name).c_str(), false));
    const UniqueFd target = TRY(open_inside(dev.get(), name, O_PATH));
    TRY(attach(node.get(), target.get(), name));
  }
  const UniqueFd pts =
      TRY(new_mount("devpts",
                    {{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}, {"gid", "5"}},
                    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
  TRY(attach_inside(pts, dev.get(), "pts"));
  const UniqueFd shm = TRY(new_mount("tmpfs", {{"mode", "1777"}}, kPlain));
  return attach_inside(shm, dev.get(), "shm");
}

Result<void> mount_processes(int root) {
  auto made = new_mount("proc", {}, kPlain | MOUNT_ATTR_NOEXEC);
  if (!made) {
    made.error().hint =
        "inside a container, /proc must not be masked: run the container with "
        "its /proc unmasked, or goldmill outside of it";
    return std::move(made).error();
  }
  const UniqueFd proc = std::move(made).value();
  TRY(attach_inside(proc, root, "/proc"));
  for (const char* name : {"sys", "sysrq-trigger", "irq", "bus", "fs", "acpi"}) {
    const auto place = open_inside(proc.get(), name, O_PATH | O_NOFOLLOW);
    if (!place) {
      continue;  // this kernel has none
    }
    const UniqueFd view = TRY(clone_mount(place->get(), "", false));
    TRY(restrict_mount(view.get(), MOUNT_ATTR_RDONLY | kPlain));
    TRY(attach(view.get(), place->get(), name));
  }
  return {};
}

/// Each instance makes its host keys itself; one made here would take time only to be sealed away.
constexpr std::string_view kNoHostKeys =
    "#!/bin/sh\n"
    "case \" $* \" in *\" /etc/ssh/ssh_host_\"*) exit 0 ;; esac\n"
    "exec /usr/bin/ssh-keygen \"$@\"\n";

/// Each instance makes its database clusters itself: they hold a random identity. Only packages are
/// held back, not a script that wants one.
constexpr std::string_view kNoCluster =
    "#!/bin/sh\n"
    "[ -z \"$DPKG_MAINTSCRIPT_PACKAGE\" ] || exit 0\n"
    "exec /usr/bin/pg_createcluster \"$@\"\n";

/// /run is made for each program: nothing that a service writes there can enter a layer.
Result<void> mount_run(int root, const SandboxRequest& request) {
  const UniqueFd run = TRY(new_mount("tmpfs", {{"mode", "0755"}}, kPlain));
  for (const char* name : {"lock", "goldmill", "goldmill/bin"}) {
    ::mkdirat(run.get(), name, 0755);
  }
  ::fchmodat(run.get(), "lock", 01777, 0);
  constexpr std::string_view kNothing = "#!/bin/sh\nexit 0\n";
  TRY(write_new(run.get(), "goldmill/bin/start-stop-daemon", kNothing, 0755));
  // No init runs here: libc's script would ask it to start again, and wait for it.
  TRY(write_new(run.get(), "goldmill/bin/ischroot", kNothing, 0755));
  TRY(write_new(run.get(), "goldmill/bin/ssh-keygen", kNoHostKeys, 0755));
  TRY(write_new(run.get(), "goldmill/bin/pg_createcluster", kNoCluster, 0755));
  if (!request.real_initramfs) {
    TRY(write_new(run.get(), "goldmill/bin/update-initramfs", kNothing, 0755));
  }
  return attach_inside(run, root, "/run");
}

/// The machine's resolver, for a program that may use its network; never part of the tree.
Result<void> mount_resolver(int root) {
  const auto text = system::read_file("/tmp/resolv.conf");
  const auto target = open_inside(root, "/etc/resolv.conf", O_PATH);
  if (!text || !target) {
    return {};
  }
  const UniqueFd view = TRY(clone_mount(AT_FDCWD, "/tmp/resolv.conf", false));
  TRY(restrict_mount(view.get(), MOUNT_ATTR_RDONLY));
  return attach(view.get(), target->get(), "resolv.conf");
}

/// A directory or file that the bind's mount point is made as, below /run and /tmp only:
/// elsewhere the fittings have it.
Result<UniqueFd> bind_target(int root, const BindRequest& bind) {
  auto there = open_inside(root, bind.target, O_PATH);
  if (there) {
    return there;
  }
  std::size_t end = 0;
  while ((end = bind.target.find('/', end + 1)) != std::string::npos) {
    const std::string part = bind.target.substr(0, end);
    const std::size_t slash = part.rfind('/');
    const UniqueFd parent = TRY(open_inside(root, part.substr(0, slash + 1), O_PATH | O_DIRECTORY));
    ::mkdirat(parent.get(), part.substr(slash + 1).c_str(), 0755);
  }
  const std::size_t slash = bind.target.rfind('/');
  const UniqueFd parent =
      TRY(open_inside(root, bind.target.substr(0, slash + 1), O_PATH | O_DIRECTORY));
  const std::string name = bind.target.substr(slash + 1);
  if (bind.kind == BindKind::directory) {
    ::mkdirat(parent.get(), name.c_str(), 0755);
  } else {
    TRY(write_new(parent.get(), name, "", 0644));
  }
  return open_inside(root, bind.target, O_PATH);
}

Result<void> copy_content(int from, int root, const BindRequest& bind) {
  const std::string self = "/proc/self/fd/";
  const UniqueFd target = TRY(bind_target(root, bind));
  const UniqueFd file = TRY(system::open_file(self + std::to_string(target.get()), O_WRONLY));
  ::lseek(from, 0, SEEK_SET);
  TRY(system::write_all(file.get(), TRY(system::read_all(from))));
  ::fchmod(file.get(), static_cast<mode_t>(bind.mode));
  return {};
}

Result<void> mount_bind(int source, int root, const BindRequest& bind) {
  if (bind.kind == BindKind::content) {
    return copy_content(source, root, bind);
  }
  const UniqueFd view = TRY(clone_mount(source, "", true));
  TRY(restrict_mount(view.get(), kPlain | (bind.writable ? 0U : MOUNT_ATTR_RDONLY)));
  const UniqueFd target = TRY(bind_target(root, bind));
  return attach(view.get(), target.get(), bind.target);
}

Result<void> mount_scratch(int root) {
  for (const char* path : {"/tmp", "/var/tmp"}) {
    const UniqueFd scratch = TRY(new_mount("tmpfs", {{"mode", "1777"}}, kPlain));
    TRY(attach_inside(scratch, root, path));
  }
  return {};
}

/// From here on the tree is "/", and the machine's root is nowhere.
Result<void> enter(int root) {
  if (::fchdir(root) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 ||
      ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0) {
    return system_error("cannot make the tree the root", errno);
  }
  return {};
}

void raise_loopback() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  (void)::ioctl(socket.get(), SIOCSIFFLAGS, &request);
}

Result<void> build_view(const system::WorkerContext& context, const SandboxRequest& request) {
  OverlayPlan plan = TRY(overlay_plan(context, request));
  plan.directories = {"proc", "dev", "run", "tmp", "var/tmp"};
  plan.with_policy = true;
  std::string resolver;
  if (request.network) {
    plan.files.emplace_back("etc/resolv.conf");
    auto text = system::read_file("/etc/resolv.conf", 1_MiB);
    resolver = text ? *std::move(text) : "";
  }
  for (const BindRequest& bind : request.binds) {
    auto& list = bind.kind == BindKind::directory ? plan.directories : plan.files;
    if (!bind.target.starts_with("/run/") && !bind.target.starts_with("/tmp/")) {
      list.push_back(bind.target.substr(1));
    }
  }
  const UniqueFd root = TRY(mount_overlay(plan));
  TRY(mount_processes(root.get()));
  TRY(mount_devices(root.get()));
  TRY(mount_run(root.get(), request));
  TRY(mount_scratch(root.get()));
  if (request.network) {
    const UniqueFd stage = TRY(system::open_directory("/tmp"));
    TRY(write_new(stage.get(), "resolv.conf", resolver, 0644));
    TRY(mount_resolver(root.get()));
  } else {
    raise_loopback();
  }
  for (const BindRequest& bind : request.binds) {
    TRY(mount_bind(context.hand(bind.hand), root.get(), bind).context("showing " + bind.target));
  }
  (void)::sethostname("localhost", 9);
  return enter(root.get());
}

// ---- the program ----

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return system_error("cannot make a pipe", errno);
  }
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

struct Program {
  std::vector<char*> argv;
  std::vector<char*> environment;
  int input;
  int output;
  int errors;
  const Confinement& confinement;
  bool terminal;
};

[[noreturn]] void become(const Program& program) {
  ::setsid();
  if (program.terminal) {
    ::ioctl(program.input, TIOCSCTTY, 0);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  const bool good = ::dup2(program.input, STDIN_FILENO) >= 0 &&
                    ::dup2(program.output, STDOUT_FILENO) >= 0 &&
                    ::dup2(program.errors, STDERR_FILENO) >= 0 && ::close_range(3, ~0U, 0) == 0 &&
                    confine_this_process(program.confinement);
  if (good) {
    ::execvpe(program.argv[0], program.argv.data(), program.environment.data());
  }
  const char* why = ::strerrordesc_np(errno);
  const std::array<const char*, 5> parts = {
      "goldmill: cannot run ", program.argv[0], ": ", why, "\n"};
  for (const char* part : parts) {
    (void)!::write(STDERR_FILENO, part, std::strlen(part));
  }
  ::_exit(127);
}

/// Turns a stream into lines for the log, and keeps the last ones for the error.
class LineReader {
 public:
  LineReader(system::WorkerContext& context, UniqueFd end)
      : context_(context), end_(std::move(end)) {}
  int descriptor() const { return end_.get(); }

  /// Reads what is there; false when nothing will come any more.
  bool read_some() {
    std::array<char, 65536> piece{};
    const ssize_t count = ::read(end_.get(), piece.data(), piece.size());
    if (count < 0) {
      return errno == EINTR;
    }
    pending_.append(piece.data(), static_cast<std::size_t>(count));
    flush(count == 0);
    return count > 0;
  }

 private:
  void flush(bool all) {
    Json lines = Json::array();
    std::size_t start = 0;
    while (start < pending_.size()) {
      const std::size_t newline = pending_.find('\n', start);
      const std::size_t end = std::min(newline, start + kLongestLine);
      if (end >= pending_.size() && !all) {
        break;
      }
      lines.push_back(pending_.substr(start, end - start));
      start = end + (end == newline ? 1 : 0);
    }
    pending_.erase(0, start);
    if (!lines.empty()) {
      context_.send_event({{"lines", std::move(lines)}});
    }
  }

  system::WorkerContext& context_;
  UniqueFd end_;
  std::string pending_;
};

/// Copies standard output to the caller's memory file, up to a limit.
class Keeper {
 public:
  Keeper(UniqueFd end, int file) : end_(std::move(end)), file_(file) {}
  int descriptor() const { return end_.get(); }
  bool read_some() {
    std::array<char, 65536> piece{};
    const ssize_t count = ::read(end_.get(), piece.data(), piece.size());
    if (count < 0) {
      return errno == EINTR;
    }
    if (kept_ + static_cast<std::size_t>(count) <= kKeptOutput) {
      (void)system::write_all(file_, {piece.data(), static_cast<std::size_t>(count)});
    }
    kept_ += static_cast<std::size_t>(count);
    return count > 0;
  }
  bool overflowed() const { return kept_ > kKeptOutput; }

 private:
  static constexpr std::size_t kKeptOutput = 16U << 20;
  UniqueFd end_;
  int file_;
  std::size_t kept_ = 0;
};

/// Waits for children that lost their parent, too: PID 1 has to. The program's raw status once
/// it has ended.
std::optional<int> reap(pid_t program) {
  std::optional<int> status;
  int raw = 0;
  for (pid_t id = 0; (id = ::waitpid(-1, &raw, WNOHANG)) > 0;) {
    if (id == program) {
      status = raw;
    }
  }
  return status;
}

/// Resident memory of everything in the namespace, for machines where no cgroup can be had.
std::uint64_t memory_in_use();

Error limit_error(const char* what, const std::string& value, const std::string& setting) {
  return Error{ErrorKind::cancelled,
               std::string("the program passed its limit of ") + what + " (" + value + ")",
               "look into its log what it does there, or raise the limit: " + setting};
}

/// Reads output until the program ends; what it left running dies with PID 1.
template <typename Readers>
Result<int> watch(pid_t program,
                  const SandboxRequest& request,
                  Readers&& read_all_now,
                  std::vector<pollfd>& waits) {
  const auto start = Clock::now();
  auto next_check = start + std::chrono::seconds(1);
  while (true) {
    (void)::poll(waits.data(), waits.size(), 200);
    read_all_now();
    if (const auto status = reap(program)) {
      read_all_now();
      return *status;
    }
    const auto now = Clock::now();
    if (request.seconds > 0 && now - start > std::chrono::seconds(request.seconds)) {
      return limit_error(
          "time", std::to_string(request.seconds) + " s", "GOLDMILL_STEP_MINUTES=240");
    }
    if (request.memory > 0 && now > next_check) {
      next_check = now + std::chrono::seconds(1);
      if (memory_in_use() > request.memory) {
        return limit_error("memory", to_text(Bytes{request.memory}), "GOLDMILL_STEP_MEMORY=16GiB");
      }
    }
  }
}

std::uint64_t memory_in_use() {
  std::uint64_t pages = 0;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", failure)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    const auto text = system::read_file(entry.path() / "statm", 1_MiB);
    unsigned long long size = 0;
    unsigned long long resident = 0;
    unsigned long long shared = 0;
    if (text && std::sscanf(text->c_str(), "%llu %llu %llu", &size, &resident, &shared) == 3) {
      pages += resident - std::min(shared, resident);
    }
  }
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

Result<Json> run_program(system::WorkerContext& context,
                         const SandboxRequest& request,
                         int input,
                         int kept) {
  const Confinement confinement = TRY(make_confinement(request.processes));
  Pipe log = TRY(make_pipe());
  Pipe output = TRY(make_pipe());
  const UniqueFd nothing = TRY(system::open_file("/dev/null", O_RDONLY));
  const Program program{
      system::exec_list(request.argv),
      system::exec_list(request.environment),
      input >= 0 ? input : nothing.get(),
      request.terminal ? input : (kept >= 0 ? output.write.get() : log.write.get()),
      request.terminal ? input : log.write.get(),
      confinement,
      request.terminal};
  const pid_t id = ::fork();
  if (id < 0) {
    return system_error("cannot start " + request.argv[0], errno);
  }
  if (id == 0) {
    become(program);
  }
  log.write.reset();
  output.write.reset();
  LineReader lines(context, std::move(log.read));
  Keeper keeper(std::move(output.read), kept);
  const UniqueFd ended(static_cast<int>(::syscall(SYS_pidfd_open, id, 0)));
  std::vector<pollfd> waits = {
      {lines.descriptor(), POLLIN, 0}, {keeper.descriptor(), POLLIN, 0}, {ended.get(), POLLIN, 0}};
  const auto read_now = [&] {
    for (std::size_t i = 0; i < 2; ++i) {
      const auto more = [&] { return i == 0 ? lines.read_some() : keeper.read_some(); };
      while (more()) {
      }
      if (waits[i].revents & POLLHUP) {
        waits[i].fd = -1;
      }
    }
  };
  const int raw = TRY(watch(id, request, read_now, waits));
  if (keeper.overflowed()) {
    return Error{ErrorKind::tool_failed, request.argv[0] + " wrote more than 16 MiB"};
  }
  return Json{{"status", WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw)}};
}
}  // namespace

Result<Json> sandbox_run(system::WorkerContext& context) {
  const SandboxRequest request = TRY(request_of(context.request()));
  // Nothing inside may look at us: we hold more capabilities, and descriptors of the machine.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  TRY(build_view(context, request));
  const int input =
      request.input_hand >= 0 ? context.hand(static_cast<std::size_t>(request.input_hand)) : -1;
  const int kept =
      request.output_hand >= 0 ? context.hand(static_cast<std::size_t>(request.output_hand)) : -1;
  return run_program(context, request, input, kept);
}

Result<Json> sandbox_call(system::WorkerContext& context) {
  const SandboxRequest request = TRY(request_of(context.request()));
  const OverlayPlan plan = TRY(overlay_plan(context, request));
  const UniqueFd root = TRY(mount_overlay(plan));
  // The slot before the callee's own hands becomes its hand 0: the tree.
  const auto slot = static_cast<std::size_t>(request.slot);
  if (::dup2(root.get(), context.hand(slot)) < 0) {
    return system_error("cannot hand the tree over", errno);
  }
  return context.become_other(request.worker, request.inner, slot);
}

/// Copies one file of the tree (hand 0) to the caller's memory file (hand 1).
Result<Json> sandbox_read(system::WorkerContext& context) {
  const std::string path = TRY(string_at(context.request(), "path"));
  const UniqueFd file = TRY(open_inside(context.hand(0), path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return Error{ErrorKind::not_found, path + " is not a regular file of the tree"};
  }
  TRY(system::write_all(context.hand(1), TRY(system::read_all(file.get()).context(path))));
  return Json::object();
}

}  // namespace goldmill::build
