// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cerrno>
#include <deque>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/build/overlay_sandbox.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/worker.hpp>

#include "pseudo_terminal.hpp"
#include "sandbox_request.hpp"

namespace goldmill::build {

namespace fs = std::filesystem;
using system::UniqueFd;

namespace {
constexpr std::size_t kMostLayers = 200;
constexpr std::size_t kTailLines = 20;
constexpr const char* kPreload = "/run/goldmill/preload.so";
constexpr off_t kLargestCopy = 64 << 20;

/// The start of every call: the request, and the descriptors in the order that it names.
struct Prepared {
  SandboxRequest request;
  std::vector<int> hands;
  std::deque<UniqueFd> owned;

  int own(UniqueFd file) { return owned.emplace_back(std::move(file)).get(); }
  std::size_t add(int descriptor) {
    hands.push_back(descriptor);
    return hands.size() - 1;
  }
};

Result<Prepared> prepare(const SandboxOptions& options) {
  if (options.layers.size() > kMostLayers) {
    return Error{ErrorKind::invalid_input,
                 "an image of more than " + std::to_string(kMostLayers) + " layers",
                 "build its base anew: variants of variants add up"};
  }
  Prepared prepared;
  if (!options.work.empty()) {
    prepared.request.writable = true;
    prepared.add(prepared.own(TRY(system::open_directory(options.work))));
  }
  for (const fs::path& layer : options.layers) {
    prepared.add(prepared.own(TRY(system::open_file(layer, O_PATH | O_DIRECTORY))));
  }
  prepared.request.layers = static_cast<int>(options.layers.size());
  prepared.request.processes = options.limits.processes;
  prepared.request.seconds = options.limits.time.count();
  prepared.request.memory = options.limits.memory.value;
  return prepared;
}

Result<void> add_bind(Prepared& prepared, const plan::Bind& bind) {
  if (!bind.target.starts_with('/') || bind.target.find("/..") != std::string::npos) {
    return Error{ErrorKind::internal, "bind target " + bind.target + " is not absolute"};
  }
  struct stat status {};
  if (::fstat(bind.source, &status) != 0) {
    return system_error("cannot show " + bind.target, errno);
  }
  BindRequest wanted{0, bind.target, BindKind::directory, bind.writable, 0444};
  int source = bind.source;
  const bool readable = (::fcntl(bind.source, F_GETFL) & O_PATH) == 0;
  if (S_ISREG(status.st_mode) && readable && !bind.writable && status.st_size <= kLargestCopy) {
    wanted.kind = BindKind::content;
    wanted.mode = static_cast<int>(status.st_mode & 0555);
  } else if (!S_ISDIR(status.st_mode)) {
    wanted.kind = BindKind::file;
    source = prepared.own(
        TRY(system::open_file("/proc/self/fd/" + std::to_string(bind.source), O_PATH)));
  }
  wanted.hand = prepared.add(source);
  prepared.request.binds.push_back(std::move(wanted));
  return {};
}

/// "NAME=..." of `added` replaces the fixed one.
std::vector<std::string> environment_with(const std::vector<std::string>& added,
                                          std::int64_t epoch) {
  std::vector<std::string> all = {std::string("PATH=") + plan::kSandboxPath,
                                  "LC_ALL=C.UTF-8",
                                  "HOME=/root",
                                  "USER=root",
                                  "LOGNAME=root",
                                  "SHELL=/bin/sh",
                                  "TERM=dumb",
                                  "TZ=UTC",
                                  "DEBIAN_FRONTEND=noninteractive",
                                  "DEBCONF_NONINTERACTIVE_SEEN=true",
                                  "SYSTEMD_OFFLINE=1",
                                  // Compiled files must not depend on the order of a hash table.
                                  "PYTHONHASHSEED=0",
                                  "PERL_HASH_SEED=0",
                                  "SOURCE_DATE_EPOCH=" + std::to_string(epoch)};
  for (const std::string& entry : added) {
    const std::string name = entry.substr(0, entry.find('=') + 1);
    std::erase_if(all, [&](const std::string& old) { return old.starts_with(name); });
    all.push_back(entry);
  }
  return all;
}

/// Passes lines to the log and remembers the last ones.
class Tail {
 public:
  explicit Tail(const std::function<void(std::string_view)>& log) : log_(log) {}
  void take(const Json& event) {
    for (const std::string& line : find_strings(event, "lines")) {
      if (log_) {
        log_(line);
      }
      last_.push_back(line);
      if (last_.size() > kTailLines) {
        last_.pop_front();
      }
    }
  }
  std::string text() const {
    std::string all;
    for (const std::string& line : last_) {
      all += "\n  " + line;
    }
    return all;
  }

 private:
  const std::function<void(std::string_view)>& log_;
  std::deque<std::string> last_;
};
}  // namespace

Result<void> OverlaySandbox::execute(const plan::Execution& execution, int kept_output) {
  GOLDMILL_ASSERT(!execution.argv.empty());
  Prepared prepared = TRY(prepare(options_));
  SandboxRequest& request = prepared.request;
  request.argv = execution.argv;
  request.environment = environment_with(execution.environment, options_.epoch);
  request.network = execution.network;
  request.real_initramfs = execution.real_initramfs;
  if (!execution.input.empty()) {
    const int input = prepared.own(TRY(system::memory_file(execution.input)));
    request.input_hand = static_cast<int>(prepared.add(input));
  }
  if (kept_output >= 0) {
    request.output_hand = static_cast<int>(prepared.add(kept_output));
  }
  for (const plan::Bind& bind : execution.binds) {
    TRY(add_bind(prepared, bind));
  }
  if (!options_.preload.empty()) {
    const int object = prepared.own(TRY(system::memory_file(options_.preload)));
    TRY(add_bind(prepared, {object, kPreload, false}));
    request.environment.push_back(std::string("LD_PRELOAD=") + kPreload);
  }
  Tail tail(options_.log);
  const system::WorkerJob job{.name = "build.run",
                              .request = to_json(request),
                              .confinement = execution.network
                                                 ? system::Confinement::sandbox_with_network
                                                 : system::Confinement::sandbox,
                              .hands = prepared.hands,
                              .on_event = [&](const Json& event) { tail.take(event); },
                              .is_cancelled = options_.is_cancelled};
  const Json result = TRY(system::run_worker(job).context(execution.argv[0]));
  const std::int64_t status = TRY(integer_at(result, "status"));
  if (status != 0) {
    return Error{
        ErrorKind::tool_failed,
        execution.argv[0] + " ended with status " + std::to_string(status) + ":" + tail.text()};
  }
  return {};
}

Result<void> OverlaySandbox::shell() {
  PseudoTerminal terminal = TRY(PseudoTerminal::open());
  Prepared prepared = TRY(prepare(options_));
  SandboxRequest& request = prepared.request;
  request.argv = {"/bin/sh", "-c", "exec $(command -v bash || echo /bin/sh) -i"};
  request.environment = environment_with({"TERM=xterm", "PS1=goldmill:\\w# "}, options_.epoch);
  request.input_hand = static_cast<int>(prepared.add(terminal.inner()));
  request.terminal = true;
  terminal.connect();
  TRY(system::run_worker({.name = "build.run",
                          .request = to_json(request),
                          .confinement = system::Confinement::sandbox,
                          .hands = prepared.hands,
                          .is_cancelled = [this, &terminal] {
                            return terminal.is_gone() ||
                                   (options_.is_cancelled && options_.is_cancelled());
                          }}));
  return {};
}

Result<void> OverlaySandbox::run(const plan::Execution& execution) {
  return execute(execution, -1);
}

Result<std::string> OverlaySandbox::capture(const plan::Execution& execution) {
  const UniqueFd file = TRY(system::memory_file(""));
  TRY(execute(execution, file.get()));
  ::lseek(file.get(), 0, SEEK_SET);
  return system::read_all(file.get());
}

Result<Json> OverlaySandbox::call(std::string_view worker,
                                  const Json& request,
                                  const std::vector<int>& hands,
                                  const std::function<void(const Json&)>& on_event) {
  Prepared prepared = TRY(prepare(options_));
  prepared.request.worker = worker;
  prepared.request.inner = request;
  const UniqueFd place = TRY(system::open_file("/dev/null", O_RDONLY));
  prepared.request.slot = static_cast<int>(prepared.add(place.get()));
  for (const int hand : hands) {
    prepared.add(hand);
  }
  return system::run_worker({.name = "build.call",
                             .request = to_json(prepared.request),
                             .confinement = system::Confinement::sandbox,
                             .hands = prepared.hands,
                             .on_event = on_event,
                             .is_cancelled = options_.is_cancelled});
}

Result<std::string> OverlaySandbox::read(std::string_view path) {
  const UniqueFd file = TRY(system::memory_file(""));
  TRY(call("build.read", {{"path", path}}, {file.get()}, {}));
  ::lseek(file.get(), 0, SEEK_SET);
  return system::read_all(file.get());
}

}  // namespace goldmill::build
