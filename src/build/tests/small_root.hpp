// SPDX-License-Identifier: GPL-3.0-or-later
// A small Debian tree as the lowest layer of the tests with real sandboxes.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <goldmill/build/overlay_sandbox.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::build::test {

/// Why no sandbox can be tested here ("" when it can).
std::string missing_for_sandboxes();

/// A GOLDMILL_HOME of this test process, with the small tree as trees/base. Removed at the end.
class Home {
 public:
  static Home& get();
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path base() const { return path_ / "trees" / "base"; }
  /// A new work directory.
  std::filesystem::path work();
  ~Home();

 private:
  Home();
  std::filesystem::path path_;
  int works_ = 0;
};

/// The options of a sandbox on the small tree, its output collected in `lines`.
struct Place {
  std::vector<std::string> lines;
  std::filesystem::path work;
  SandboxOptions options();
  /// Runs a shell script; its output is in lines.
  Result<void> shell(const std::string& script);
};

std::span<const system::WorkerEntry> test_workers();

}  // namespace goldmill::build::test
