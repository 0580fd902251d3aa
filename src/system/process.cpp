// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goldmill/system/process.hpp>

namespace goldmill::system {

namespace {
using Clock = std::chrono::steady_clock;
constexpr std::size_t kKeptOutput = 16U << 20;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
  static Result<Pipe> make() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      return system_error("cannot make a pipe", errno);
    }
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
};

/// Everything the child needs, made before fork: after it only system calls are allowed.
struct Prepared {
  std::vector<char*> argv;
  std::vector<char*> environment;
  const char* directory;
  std::vector<HandedFd> descriptors;
  bool own_group;
  pid_t parent;
};

[[noreturn]] void become(const Prepared& prepared, int report) {
  // Also when we are killed: nothing of a dead goldmill may go on writing.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (::getppid() != prepared.parent) {
    ::_exit(127);  // it died before the line above
  }
  if (prepared.own_group) {
    ::setpgid(0, 0);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGINT, SIGTERM, SIGPIPE, SIGCHLD}) {
    ::signal(number, SIG_DFL);
  }
  // First out of the way of every number wanted, then to the numbers themselves.
  std::array<int, 64> moved{};
  std::size_t count = 0;
  bool good = prepared.descriptors.size() < moved.size();
  for (const HandedFd& handed : prepared.descriptors) {
    moved.at(count) = ::fcntl(handed.ours, F_DUPFD_CLOEXEC, 200);
    good = good && moved.at(count) >= 0;
    ++count;
  }
  const int kept_report = ::fcntl(report, F_DUPFD_CLOEXEC, 200);
  for (std::size_t i = 0; good && i < count; ++i) {
    good = ::dup2(moved.at(i), prepared.descriptors[i].theirs) >= 0;
  }
  if (good && *prepared.directory != '\0') {
    good = ::chdir(prepared.directory) == 0;
  }
  if (good) {
    ::execvpe(prepared.argv[0], prepared.argv.data(), prepared.environment.data());
  }
  const int failure = errno;
  (void)!::write(kept_report, &failure, sizeof failure);
  ::_exit(127);
}

/// fork + exec; exec's failure comes back over a pipe that closes on success.
Result<pid_t> spawn(const Command& command, std::vector<HandedFd> descriptors, bool own_group) {
  GOLDMILL_ASSERT(!command.argv.empty());
  Pipe report = TRY(Pipe::make());
  std::vector<char*> environment;
  if (command.environment) {
    environment = exec_list(*command.environment);
  } else {
    for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
      environment.push_back(*entry);
    }
    environment.push_back(nullptr);
  }
  const Prepared prepared{exec_list(command.argv),
                          std::move(environment),
                          command.directory.c_str(),
                          std::move(descriptors),
                          own_group,
                          ::getpid()};
  const pid_t id = ::fork();
  if (id < 0) {
    return system_error("cannot start " + command.argv[0], errno);
  }
  if (id == 0) {
    become(prepared, report.write.get());
  }
  report.write.reset();
  int failure = 0;
  ssize_t count = 0;
  do {
    count = ::read(report.read.get(), &failure, sizeof failure);
  } while (count < 0 && errno == EINTR);
  if (count == sizeof failure) {
    ::waitpid(id, nullptr, 0);
    Error error = system_error("cannot run " + command.argv[0], failure);
    if (failure == ENOENT) {
      error.hint = "install the program that is missing (./scripts/build installs all of them)";
    }
    return error;
  }
  return id;
}

int status_of(int raw) {
  return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + (WIFSIGNALED(raw) ? WTERMSIG(raw) : 0);
}

struct Stream {
  UniqueFd end;
  std::string* kept;
};

/// Feeds input and collects both outputs until all are closed. False when the time passed.
bool exchange(const Command& command, UniqueFd input, std::array<Stream, 2>& streams) {
  const auto start = Clock::now();
  std::string_view rest = command.input;
  std::vector<char> piece(1 << 16);
  while (streams[0].end || streams[1].end) {
    std::array<pollfd, 3> waits = {{{streams[0].end.get(), POLLIN, 0},
                                    {streams[1].end.get(), POLLIN, 0},
                                    {rest.empty() ? -1 : input.get(), POLLOUT, 0}}};
    if (rest.empty()) {
      input.reset();
    }
    int timeout = -1;
    if (command.limit.count() > 0) {
      const auto left = command.limit -
                        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
      if (left.count() <= 0) {
        return false;
      }
      timeout = static_cast<int>(std::min<std::int64_t>(left.count(), 1 << 30));
    }
    if (::poll(waits.data(), waits.size(), timeout) < 0 && errno != EINTR) {
      return true;
    }
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (waits.at(i).revents == 0) {
        continue;
      }
      const ssize_t count = ::read(streams.at(i).end.get(), piece.data(), piece.size());
      if (count <= 0) {
        streams.at(i).end.reset();
        continue;
      }
      const std::string_view text(piece.data(), static_cast<std::size_t>(count));
      if (streams.at(i).kept->size() < kKeptOutput) {
        streams.at(i).kept->append(text);
      }
      if (command.on_output) {
        command.on_output(text);
      }
    }
    if (waits[2].revents != 0) {
      const ssize_t count =
          ::write(input.get(), rest.data(), std::min<std::size_t>(rest.size(), 65536));
      rest.remove_prefix(count > 0 ? static_cast<std::size_t>(count) : rest.size());
    }
  }
  return true;
}

class RealRunner : public ProcessRunner {
 public:
  Result<Output> run(const Command& command) override {
    Pipe input = TRY(Pipe::make());
    Pipe text = TRY(Pipe::make());
    Pipe errors = TRY(Pipe::make());
    std::vector<HandedFd> descriptors = command.descriptors;
    descriptors.push_back({input.read.get(), STDIN_FILENO});
    descriptors.push_back({text.write.get(), STDOUT_FILENO});
    descriptors.push_back({errors.write.get(), STDERR_FILENO});
    Child child(TRY(spawn(command, std::move(descriptors), command.limit.count() > 0)));
    input.read.reset();
    text.write.reset();
    errors.write.reset();
    Output output;
    std::array<Stream, 2> streams = {
        {{std::move(text.read), &output.text}, {std::move(errors.read), &output.errors}}};
    if (!exchange(command, std::move(input.write), streams)) {
      child.kill(SIGKILL);
      child.wait();
      return Error{ErrorKind::cancelled,
                   command.argv[0] + " took longer than " +
                       std::to_string(command.limit.count() / 1000) + " s"};
    }
    output.status = child.wait();
    return output;
  }
};
}  // namespace

std::string shell_quoted(std::string_view word) {
  std::string quoted = "'";
  for (const char letter : word) {
    quoted += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  }
  return quoted + "'";
}

std::vector<char*> exec_list(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  list.reserve(texts.size() + 1);
  for (const std::string& text : texts) {
    list.push_back(const_cast<char*>(text.c_str()));  // execve's signature predates const
  }
  list.push_back(nullptr);
  return list;
}

ProcessRunner& process_runner() {
  // A program that does not read its input must not end us; children get the default back.
  static const bool kIgnored = ::signal(SIGPIPE, SIG_IGN) != SIG_ERR;
  (void)kIgnored;
  static RealRunner runner;
  return runner;
}

Result<Output> run_checked(ProcessRunner& runner, const Command& command) {
  Output output = TRY(runner.run(command));
  if (output.status == 0) {
    return output;
  }
  std::string_view said = output.errors.empty() ? output.text : output.errors;
  while (said.ends_with('\n')) {
    said.remove_suffix(1);
  }
  const std::size_t line = said.rfind('\n');
  const std::string last(said.substr(line == std::string_view::npos ? 0 : line + 1).substr(0, 500));
  return Error{ErrorKind::tool_failed,
               command.argv[0] + " failed with status " + std::to_string(output.status) +
                   (last.empty() ? "" : ": " + last)};
}

Result<Child> Child::start(const Command& command, int output) {
  const UniqueFd nothing = TRY(open_file("/dev/null", O_RDWR));
  std::vector<HandedFd> descriptors = command.descriptors;
  const bool own_input = std::any_of(descriptors.begin(),
                                     descriptors.end(),
                                     [](const HandedFd& fd) { return fd.theirs == STDIN_FILENO; });
  if (!own_input) {
    descriptors.push_back({nothing.get(), STDIN_FILENO});
  }
  if (output >= 0) {
    descriptors.push_back({output, STDOUT_FILENO});
    descriptors.push_back({output, STDERR_FILENO});
  }
  return Child(TRY(spawn(command, std::move(descriptors), true)));
}

Child& Child::operator=(Child&& other) noexcept {
  std::swap(id_, other.id_);
  return *this;
}

Child::~Child() {
  if (id_ > 0) {
    kill(SIGKILL);
    wait();
  }
}

std::optional<int> Child::poll() {
  if (id_ <= 0) {
    return 0;
  }
  int raw = 0;
  const pid_t ended = ::waitpid(id_, &raw, WNOHANG);
  if (ended == 0) {
    return std::nullopt;
  }
  id_ = -1;
  return ended > 0 ? status_of(raw) : 0;
}

std::optional<int> Child::wait(std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  while (true) {
    const auto status = poll();
    if (status || Clock::now() >= end) {
      return status;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

int Child::wait() {
  if (id_ <= 0) {
    return 0;
  }
  int raw = 0;
  while (::waitpid(id_, &raw, 0) < 0) {
    if (errno != EINTR) {
      raw = 0;
      break;
    }
  }
  id_ = -1;
  return status_of(raw);
}

void Child::kill(int signal) const {
  if (id_ > 0) {
    ::kill(id_, signal);
  }
}

}  // namespace goldmill::system
