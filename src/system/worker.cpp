// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goldmill/system/worker.hpp>

namespace goldmill::system {

namespace {

constexpr int kRequest = 3;
constexpr int kAnswers = 4;
constexpr int kLifeline = 5;
constexpr int kOwnLifeline = 6;  // a service holds its other end itself: nobody's end is its own
constexpr int kFirstHand = 10;
constexpr const char* kMark = "goldmill-worker";

bool needs_guest_ids(Confinement confinement) {
  return confinement != Confinement::none;
}

int clone_flags(Confinement confinement) {
  switch (confinement) {
    case Confinement::none:
      return 0;
    case Confinement::guest_ids:
      return CLONE_NEWUSER | CLONE_NEWNS;
    case Confinement::sandbox:
      return CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
             CLONE_NEWNET | CLONE_NEWCGROUP;
    case Confinement::sandbox_with_network:
      return CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
             CLONE_NEWCGROUP;
  }
  return 0;
}

/// This program, as a descriptor that guest ids may execute: they cannot walk our paths, and a
/// file without the world's x bit (umask 077) has to be copied to memory.
Result<UniqueFd> own_program() {
  UniqueFd program = TRY(open_file("/proc/self/exe", O_RDONLY));
  struct stat status {};
  if (::fstat(program.get(), &status) == 0 && (status.st_mode & S_IXOTH) != 0) {
    return program;
  }
  const std::string content = TRY(read_all(program.get(), 1_GiB));
  return memory_file(content, 0755);
}

/// A stream of JSON lines; a memory file or pipe would do for the request, a socket does both.
struct Talk {
  UniqueFd ours;
  UniqueFd theirs;
  static Result<Talk> make() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      return system_error("cannot make a socket pair", errno);
    }
    return Talk{UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
};

enum class Lifetime : bool { with_caller, outlives };

struct Start {
  int program;
  const char* name;
  Lifetime lifetime;
  std::vector<HandedFd> descriptors;
  int go;         // the parent writes one byte when the id maps stand
  int go_parent;  // its other end, closed in the child: else the parent's death is no end of file
  Confinement confinement;
  std::vector<char*> environment;
};

[[noreturn]] void fail_start(const char* what) {
  const int number = errno;
  std::array<char, 256> text{};
  std::strncpy(text.data(), what, text.size() - 1);
  (void)!::write(STDERR_FILENO, "goldmill: worker cannot start: ", 31);
  (void)!::write(STDERR_FILENO, text.data(), std::strlen(text.data()));
  (void)!::write(STDERR_FILENO, number == EACCES ? " (EACCES)\n" : "\n", number == EACCES ? 10 : 1);
  ::_exit(126);
}

/// The same directory (or O_PATH file) seen through the new mount namespace: the kernel mounts
/// and binds only what was opened there. Done while the process still has the caller's user id,
/// since guest ids cannot walk the caller's paths. -1 when the path leads elsewhere by now.
int reopen_here(int descriptor) {
  struct stat before {};
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags < 0 || ::fstat(descriptor, &before) != 0 ||
      (!S_ISDIR(before.st_mode) && (flags & O_PATH) == 0)) {
    return -1;
  }
  std::array<char, 32> link{};
  (void)std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", descriptor);
  std::array<char, PATH_MAX> path{};
  if (::readlink(link.data(), path.data(), path.size() - 1) <= 0) {
    return -1;
  }
  const int kind = S_ISDIR(before.st_mode) ? O_DIRECTORY : O_NOFOLLOW;
  const int again = ::open(path.data(), kind | O_CLOEXEC | (flags & O_PATH));
  struct stat after {};
  if (again >= 0 && (::fstat(again, &after) != 0 || after.st_dev != before.st_dev ||
                     after.st_ino != before.st_ino)) {
    ::close(again);
    return -1;
  }
  return again;
}

/// In the child, between clone and exec: system calls only.
[[noreturn]] void become(Start& start) {
  char byte = 0;
  ::close(start.go_parent);
  if (needs_guest_ids(start.confinement)) {
    if (::read(start.go, &byte, 1) != 1) {
      ::_exit(126);
    }
    for (HandedFd& handed : start.descriptors) {
      const int again = handed.theirs >= kFirstHand ? reopen_here(handed.ours) : -1;
      handed.ours = again >= 0 ? again : handed.ours;
    }
    // Not by the C library, whose version changes all threads of a process that here has one:
    // in a caller with threads it waits for them for ever.
    if (::syscall(SYS_setresgid, 0, 0, 0) != 0 || ::syscall(SYS_setgroups, 0, nullptr) != 0 ||
        ::syscall(SYS_setresuid, 0, 0, 0) != 0) {
      fail_start("setresuid");
    }
    // What we mount must not reach the machine, nor its new mounts surprise us.
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
      fail_start("mount propagation");
    }
    ::umask(022);
  }
  if (start.lifetime == Lifetime::outlives) {
    ::setsid();
  } else {
    // Until the lifeline is held; a change of ids would clear it.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    ::setpgid(0, 0);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::array<int, 256> moved{};
  for (std::size_t i = 0; i < start.descriptors.size(); ++i) {
    moved.at(i) = ::fcntl(start.descriptors[i].ours, F_DUPFD_CLOEXEC, 600);
    if (moved.at(i) < 0) {
      fail_start("descriptors");
    }
  }
  const int program = ::fcntl(start.program, F_DUPFD_CLOEXEC, 600);
  // Whoever started us may hold a lock or a secret open: neither a service, which outlives them,
  // nor a package's script is to have it.
  close_at_exec(3);
  for (std::size_t i = 0; i < start.descriptors.size(); ++i) {
    if (::dup2(moved.at(i), start.descriptors[i].theirs) < 0) {
      fail_start("descriptors");
    }
  }
  std::array<char*, 3> argv = {const_cast<char*>(kMark), const_cast<char*>(start.name), nullptr};
  ::syscall(SYS_execveat, program, "", argv.data(), start.environment.data(), AT_EMPTY_PATH);
  fail_start("execveat");
}

Result<void> write_maps_as_root(pid_t child, const GuestIds& ids) {
  const std::string process = "/proc/" + std::to_string(child);
  for (const auto& [file, range] : {std::pair{"/uid_map", ids.users}, {"/gid_map", ids.groups}}) {
    const UniqueFd map = TRY(open_file(process + file, O_WRONLY));
    const std::string line =
        "0 " + std::to_string(range.first) + " " + std::to_string(IdRange::kCount);
    TRY(write_all(map.get(), line).context("cannot map guest ids"));
  }
  return {};
}

Result<void> write_maps(pid_t child, const GuestIds& ids) {
  if (::geteuid() == 0) {
    return write_maps_as_root(child, ids);
  }
  for (const auto& [tool, range] : {std::pair{"newuidmap", ids.users}, {"newgidmap", ids.groups}}) {
    TRY(run_checked(process_runner(),
                    Command{.argv = {tool,
                                     std::to_string(child),
                                     "0",
                                     std::to_string(range.first),
                                     std::to_string(IdRange::kCount)}})
            .context("cannot map guest ids"));
  }
  return {};
}

Json to_json(const Error& error) {
  return {{"kind", static_cast<int>(error.kind)},
          {"message", error.message},
          {"hint", error.hint},
          {"context", error.context}};
}

Error error_of(const Json& json) {
  Error error{ErrorKind::internal,
              find_string(json, "message").value_or("no message"),
              find_string(json, "hint").value_or(""),
              find_strings(json, "context")};
  const auto kind = find_integer(json, "kind");
  if (kind && *kind >= 0 && *kind <= static_cast<int>(ErrorKind::internal)) {
    error.kind = static_cast<ErrorKind>(*kind);
  }
  return error;
}

/// Reads answers until the last one; the worker is trusted for form but not for life.
class Listener {
 public:
  Listener(const WorkerJob& job, int socket, Lifetime lifetime)
      : job_(job), socket_(socket), lifetime_(lifetime) {}

  /// The answer; of a service, its first event.
  Result<Json> run() {
    std::vector<char> piece(1 << 16);
    while (true) {
      pollfd wait{socket_, POLLIN, 0};
      const int ready = ::poll(&wait, 1, job_.is_cancelled ? 100 : -1);
      if (ready == 0 || (ready < 0 && errno == EINTR)) {
        if (job_.is_cancelled && job_.is_cancelled()) {
          return Error{ErrorKind::cancelled, "stopped"};
        }
        continue;
      }
      const ssize_t count = ::read(socket_, piece.data(), piece.size());
      if (count <= 0) {
        return Error{ErrorKind::tool_failed,
                     "the " + job_.name + " worker ended without an answer"};
      }
      pending_.append(piece.data(), static_cast<std::size_t>(count));
      if (auto last = take_lines()) {
        return *std::move(last);
      }
    }
  }

 private:
  std::optional<Result<Json>> take_lines() {
    std::size_t end = 0;
    while ((end = pending_.find('\n', scanned_)) != std::string::npos) {
      auto answer = parse_json(std::string_view(pending_).substr(0, end), "a worker's answer");
      pending_.erase(0, end + 1);
      scanned_ = 0;
      if (!answer) {
        return Result<Json>(std::move(answer).error());
      }
      if (const Json* event = find_value(*answer, "event")) {
        if (lifetime_ == Lifetime::outlives) {
          return Result<Json>(*event);
        }
        if (job_.on_event) {
          job_.on_event(*event);
        }
      } else if (const Json* error = find_value(*answer, "error")) {
        return Result<Json>(error_of(*error));
      } else if (const Json* result = find_value(*answer, "result")) {
        return Result<Json>(*result);
      }
    }
    scanned_ = pending_.size();
    return std::nullopt;
  }

  const WorkerJob& job_;
  int socket_;
  Lifetime lifetime_;
  std::string pending_;
  std::size_t scanned_ = 0;
};

std::vector<std::string> confined_environment() {
  std::vector<std::string> kept = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "LC_ALL=C.UTF-8",
      "HOME=/root"};
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (text.starts_with("ASAN_") || text.starts_with("UBSAN_") || text.starts_with("GOLDMILL_")) {
      kept.emplace_back(text);
    }
  }
  return kept;
}

Result<UniqueFd> request_file(const Json& request) {
  return memory_file(request.dump(-1, ' ', false, Json::error_handler_t::replace));
}

pid_t clone_like_fork(int flags) {
  return static_cast<pid_t>(
      ::syscall(SYS_clone, static_cast<unsigned long>(flags | SIGCHLD), 0, 0, 0, 0));
}

/// The running worker; its end takes everything with it.
class Running {
 public:
  explicit Running(pid_t id) : id_(id) {}
  Running(Running&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  Running& operator=(Running&&) = delete;
  ~Running() { (void)end(SIGKILL); }
  pid_t id() const { return id_; }
  /// Lets it go on without us.
  void release() { id_ = -1; }
  int end(int signal) {
    if (id_ <= 0) {
      return 0;
    }
    if (signal != 0) {
      ::kill(-id_, signal);
      ::kill(id_, signal);
    }
    int raw = 0;
    while (::waitpid(id_, &raw, 0) < 0 && errno == EINTR) {
    }
    id_ = -1;
    return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  }

 private:
  pid_t id_;
};

Error cannot_clone(const WorkerJob& job, int number) {
  Error error = system_error("cannot start the " + job.name + " worker", number);
  if (error.hint.empty() && needs_guest_ids(job.confinement)) {
    error.hint =
        "the kernel makes no user namespace here: it does not in a chroot (use pivot_root or a "
        "container that may nest), nor where the sysctls user.max_user_namespaces or "
        "kernel.unprivileged_userns_clone are 0";
  }
  return error;
}

std::vector<char*> pointers_to(std::vector<std::string>& entries) {
  std::vector<char*> pointers;
  pointers.reserve(entries.size() + 1);
  for (std::string& entry : entries) {
    pointers.push_back(entry.data());
  }
  return pointers;
}

/// Points into `confined` where the worker is confined, else to our own.
std::vector<char*> environment_of(Confinement confinement, std::vector<std::string>& confined) {
  std::vector<char*> pointers;
  if (needs_guest_ids(confinement)) {
    pointers = pointers_to(confined);
  } else {
    for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
      pointers.push_back(*entry);
    }
  }
  pointers.push_back(nullptr);
  return pointers;
}

/// A worker that has its work, and our ends of what connects us.
struct Started {
  Running running;
  UniqueFd answers;
  UniqueFd lifeline;
};

Result<Started> start_worker(const WorkerJob& job, Lifetime lifetime) {
  const UniqueFd program = TRY(own_program());
  const UniqueFd request = TRY(request_file(job.request));
  // A worker holds copies of all that was open when it was cloned until it comes to life, also the
  // ends by which those before it wait for us. If two held each other's, neither would see us end:
  // so one is cloned before the next one's ends are made.
  static std::mutex starting;
  std::unique_lock lock(starting);
  Talk talk = TRY(Talk::make());
  Talk lifeline = TRY(Talk::make());
  Talk go = TRY(Talk::make());

  Start start{program.get(),
              job.name.c_str(),
              lifetime,
              {},
              go.theirs.get(),
              go.ours.get(),
              job.confinement,
              {}};
  start.descriptors = {
      {request.get(), kRequest}, {talk.theirs.get(), kAnswers}, {lifeline.theirs.get(), kLifeline}};
  if (lifetime == Lifetime::outlives) {
    start.descriptors.push_back({lifeline.ours.get(), kOwnLifeline});
  }
  for (std::size_t i = 0; i < job.hands.size(); ++i) {
    start.descriptors.push_back({job.hands[i], kFirstHand + static_cast<int>(i)});
  }
  const UniqueFd nothing = TRY(open_file("/dev/null", O_RDWR));
  start.descriptors.push_back({nothing.get(), STDIN_FILENO});
  if (job.output >= 0) {
    start.descriptors.push_back({job.output, STDOUT_FILENO});
    start.descriptors.push_back({job.output, STDERR_FILENO});
  }
  GOLDMILL_ASSERT(start.descriptors.size() < 250);
  std::vector<std::string> kept = confined_environment();
  start.environment = environment_of(job.confinement, kept);
  const GuestIds ids = needs_guest_ids(job.confinement) ? TRY(GuestIds::find()) : GuestIds{};

  Running running(clone_like_fork(clone_flags(job.confinement)));
  if (running.id() < 0) {
    return cannot_clone(job, errno);
  }
  if (running.id() == 0) {
    become(start);
  }
  lock.unlock();
  if (lifetime == Lifetime::with_caller) {
    ::setpgid(running.id(), running.id());
  }
  talk.theirs.reset();
  lifeline.theirs.reset();
  go.theirs.reset();
  if (needs_guest_ids(job.confinement)) {
    TRY(write_maps(running.id(), ids));
    TRY(write_all(go.ours.get(), "g"));
  }
  return Started{std::move(running), std::move(talk.ours), std::move(lifeline.ours)};
}

}  // namespace

Result<Json> run_worker(const WorkerJob& job) {
  Started started = TRY(start_worker(job, Lifetime::with_caller));
  auto answer = Listener(job, started.answers.get(), Lifetime::with_caller).run();
  // After its answer a worker ends by itself; anything it left behind does not.
  started.running.end(answer ? 0 : SIGKILL);
  return answer;
}

Result<void> start_service(const WorkerJob& job) {
  Started started = TRY(start_worker(job, Lifetime::outlives));
  TRY(Listener(job, started.answers.get(), Lifetime::outlives).run());
  started.running.release();
  return {};
}

namespace {
Result<Json> run_entry(WorkerMain main, WorkerContext& context);
std::span<const WorkerEntry> known_workers;
}  // namespace

Result<Json> WorkerContext::become_other(std::string_view name,
                                         Json request,
                                         std::size_t first_hand) {
  for (const WorkerEntry& entry : known_workers) {
    if (entry.name == name) {
      WorkerContext inner(std::move(request), answers_, first_hand_ + static_cast<int>(first_hand));
      return run_entry(entry.main, inner);
    }
  }
  return Error{ErrorKind::internal, "no worker named " + std::string(name)};
}

void WorkerContext::send_event(const Json& event) {
  const Json line = {{"event", event}};
  (void)write_all(answers_, line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

namespace {
/// Ends the worker, and with it its namespaces or group, when the caller is gone.
void hold_lifeline() {
  std::thread([] {
    char byte = 0;
    while (::read(kLifeline, &byte, 1) < 0 && errno == EINTR) {
    }
    if (::getpid() != 1) {
      ::kill(0, SIGKILL);
    }
    ::_exit(125);
  }).detach();
}

Result<Json> run_entry(WorkerMain main, WorkerContext& context) {
  try {
    return main(context);
  } catch (const std::exception& failure) {  // a third-party library threw past its adapter
    return Error{ErrorKind::internal, std::string("unexpected exception: ") + failure.what()};
  }
}
}  // namespace

Result<void> mount_private_places() {
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    Error error = system_error("cannot mount a /proc of the worker's own", errno);
    error.hint = "in a container, run it without masked paths in /proc";
    return error;
  }
  if (::mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700,size=64m") != 0) {
    return system_error("cannot mount a /tmp of the worker's own", errno);
  }
  return {};
}

void become_worker_if_asked(int argc, char** argv, std::span<const WorkerEntry> workers) {
  ::signal(SIGPIPE, SIG_IGN);
  if (argc != 2 || std::string_view(argv[0]) != kMark) {
    return;
  }
  for (const int number : {kRequest, kAnswers, kLifeline, kOwnLifeline}) {
    ::fcntl(number, F_SETFD, FD_CLOEXEC);  // not for the programs that the worker runs
  }
  known_workers = workers;
  hold_lifeline();
  Result<Json> answer = Error{ErrorKind::internal, std::string("no worker named ") + argv[1]};
  const auto request_text = read_all(kRequest, 1_GiB);
  auto request = parse_json(request_text ? *request_text : "", "a worker's request");
  for (const WorkerEntry& entry : workers) {
    if (entry.name == argv[1] && request) {
      WorkerContext context(*std::move(request), kAnswers);
      answer = run_entry(entry.main, context);
      break;
    }
  }
  const Json line = answer ? Json{{"result", *answer}} : Json{{"error", to_json(answer.error())}};
  (void)write_all(kAnswers, line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  ::_exit(answer ? 0 : 1);
}

}  // namespace goldmill::system
