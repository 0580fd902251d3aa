// SPDX-License-Identifier: GPL-3.0-or-later
// Sandbox: where a step runs. The interface is here, with its callers (guest/, provision/); the
// implementation with namespaces and overlays is in build/.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::plan {

/// The PATH of what runs inside: the sandbox's own programs stand before the tree's.
inline constexpr const char* kSandboxPath =
    "/run/goldmill/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Something of this machine shown inside, read-only unless said otherwise.
struct Bind {
  int source = -1;     ///< descriptor of a file or directory, opened by the caller
  std::string target;  ///< absolute path inside; below /run/goldmill unless there is a reason
  bool writable = false;
};

/// One program run inside the tree, as its root, with services held back (policy-rc.d says 101)
/// and update-initramfs replaced by a no-op, unless `real_initramfs`.
struct Execution {
  std::vector<std::string> argv = {};
  /// Added to the fixed environment (PATH, LC_ALL=C.UTF-8, DEBIAN_FRONTEND=noninteractive,
  /// HOME=/root, SOURCE_DATE_EPOCH).
  std::vector<std::string> environment = {};
  std::string input = {};
  std::vector<Bind> binds = {};
  bool network = false;
  bool real_initramfs = false;
};

class Sandbox {
 public:
  virtual ~Sandbox() = default;

  /// Runs a program inside. Its output goes to the step's log. Errors: tool_failed with the
  /// last lines of output; cancelled.
  virtual Result<void> run(const Execution& execution) = 0;

  /// As run(), and gives its standard output back (up to 16 MiB).
  virtual Result<std::string> capture(const Execution& execution) = 0;

  /// Runs one of our own workers (system/worker.hpp) as the guest's root with the whole tree as
  /// its working directory (the overlay is mounted there; the machine's root is still its
  /// root, but nothing of it is writable for guest ids). hands[0] is the tree's directory;
  /// `hands` follow from 1 on.
  virtual Result<Json> call(std::string_view worker,
                            const Json& request,
                            const std::vector<int>& hands,
                            const std::function<void(const Json&)>& on_event) = 0;

  /// Reads one file of the tree, links resolved inside it. Errors: not_found.
  virtual Result<std::string> read(std::string_view path) = 0;

  /// Seconds since 1970: the clamp of every time stamp, the date of everything dated.
  virtual std::int64_t epoch() const = 0;
};

}  // namespace goldmill::plan
