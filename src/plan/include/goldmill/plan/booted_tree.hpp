// SPDX-License-Identifier: GPL-3.0-or-later
// BootedTree: the tree of a step as a running system, for what needs live services. The interface
// is here, with those who use it (provision/); the implementation with a virtual machine is in
// factory/.
#pragma once

#include <string>

#include <goldmill/base/result.hpp>
#include <goldmill/plan/sandbox.hpp>

namespace goldmill::plan {

class BootedTree {
 public:
  virtual ~BootedTree() = default;

  /// Runs a program in the running system, as its root, and gives its standard output back (up to
  /// 16 MiB); the rest of its output goes to the step's log. The first call boots the system and
  /// waits until it is up. Its environment is the image's own: services run, nothing is held back,
  /// and there is no network. Files that are shown are copies, directories are disks: what
  /// the first execution shows of them, later ones may show. Errors: tool_failed with the last
  /// lines of output; unavailable (it cannot be booted here); cancelled.
  virtual Result<std::string> capture(const Execution& execution) = 0;

  /// Shuts it down in order, and brings what it changed into the sandbox's tree. A system that was
  /// never booted changes nothing.
  virtual Result<void> close() = 0;
};

}  // namespace goldmill::plan
