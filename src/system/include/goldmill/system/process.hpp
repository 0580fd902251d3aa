// SPDX-License-Identifier: GPL-3.0-or-later
// Programs that goldmill runs. ProcessRunner is the seam that tests replace (fakes/).
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::system {

/// A descriptor handed to a child under a number of its own.
struct HandedFd {
  int ours = -1;
  int theirs = -1;
};

struct Command {
  std::vector<std::string> argv;
  /// The whole environment when given; inherited otherwise.
  std::optional<std::vector<std::string>> environment = {};
  std::filesystem::path directory = {};
  std::string input = {};
  std::vector<HandedFd> descriptors = {};
  /// Killed after this time; zero means no limit.
  std::chrono::milliseconds limit{0};
  /// Called with pieces of standard output and error as they come.
  std::function<void(std::string_view)> on_output = {};
};

struct Output {
  int status = 0;  ///< exit status, or 128 + signal
  std::string text = {};
  std::string errors = {};
};

class ProcessRunner {
 public:
  virtual ~ProcessRunner() = default;
  /// Runs to the end. A non-zero status is not an Error. Output is kept up to 16 MiB a stream.
  /// Errors: not_found (no such program), cancelled (the limit passed).
  virtual Result<Output> run(const Command& command) = 0;
};

/// Arguments or environment as exec wants them, a null pointer last; valid while `texts` are.
std::vector<char*> exec_list(const std::vector<std::string>& texts);

/// One word for a POSIX shell, in single quotes.
std::string shell_quoted(std::string_view word);

/// The machine's own.
ProcessRunner& process_runner();

/// Runs to the end and makes a non-zero status an Error (tool_failed) with the last output line.
Result<Output> run_checked(ProcessRunner& runner, const Command& command);

/// A child that goes on beside us. Killed and reaped when its owner goes; the kernel kills it when
/// the thread that started it ends, killed or not.
class Child {
 public:
  /// Standard input is /dev/null; output goes to `output` (a descriptor), or is inherited.
  /// The child starts in a process group of its own.
  static Result<Child> start(const Command& command, int output = -1);
  explicit Child(pid_t id) : id_(id) {}
  Child(Child&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  Child& operator=(Child&& other) noexcept;
  ~Child();

  pid_t id() const { return id_; }
  /// Exit status once it has ended, nullopt while it runs.
  std::optional<int> poll();
  /// Waits; nullopt when the time passed first.
  std::optional<int> wait(std::chrono::milliseconds limit);
  int wait();
  void kill(int signal) const;

 private:
  pid_t id_ = -1;
};

}  // namespace goldmill::system
