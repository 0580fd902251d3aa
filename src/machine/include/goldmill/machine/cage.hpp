// SPDX-License-Identifier: GPL-3.0-or-later
// The cage: where QEMU runs. Own user, mount, pid, ipc and uts namespaces, an id of no account, no
// capabilities, a root that holds read-only /usr and nothing else, and only handed descriptors.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

#include <goldmill/base/result.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::machine {

/// A file shown in the cage: its content is copied there before the program starts, because the
/// caged id cannot open the caller's paths.
struct CagedFile {
  int source = -1;
  std::string target;  ///< absolute path in the cage, directly below "/"
};

struct CagedProgram {
  enum class Network : std::uint8_t { callers, none };
  enum class Lifetime : std::uint8_t { with_caller, outlives };

  std::vector<std::string> argv = {};  ///< argv[0] is an absolute path below /usr
  std::vector<system::HandedFd> descriptors = {};
  std::vector<CagedFile> files = {};
  std::string preload = {};  ///< path in the cage of a shared object that it loads first, or ""
  std::vector<std::string> devices = {};  ///< device nodes of this machine to show: "/dev/kvm"
  /// Shows the program its own descriptors as /fds/NUMBER, for what it opens only by path.
  bool shows_descriptors = false;
  /// Memory in small pages only: one of hundreds, each of which touches little here and there.
  bool small_pages = false;
  int output = -1;  ///< standard output and error; /dev/null when -1
  Network network = Network::callers;
  Lifetime lifetime = Lifetime::with_caller;
  /// Called with the process's number before the program runs in it. When it fails, or the caller
  /// dies before it returns, the program never runs: what is recorded here cannot be missed.
  std::function<Result<void>(pid_t)> before_run = {};
};

/// What became of it. `warning` says what is weaker than it should be, or is "".
struct CagedProcess {
  pid_t id = -1;
  std::string warning;
};

/// Starts it as process 1 of a pid namespace: when it ends, everything in the cage ends. As root
/// it runs under a reserved id, as a plain user under a subordinate one; without subordinate
/// ids it keeps the caller's id, still without capabilities and files, and the warning says so.
/// Errors: unavailable (this machine allows no user namespaces); not_found (no such program).
Result<CagedProcess> start_caged(const CagedProgram& program);

}  // namespace goldmill::machine
