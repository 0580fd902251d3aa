// SPDX-License-Identifier: GPL-3.0-or-later
// OverlaySandbox: a step's view of the layers below it, writable through an overlay, with
// nothing of this machine in reach. Used by whoever runs steps and by disk assembly (read-only).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/plan/sandbox.hpp>

namespace goldmill::build {

/// What one program may use up. Zero means no limit.
struct SandboxLimits {
  Bytes memory{0};
  int processes = 4096;
  std::chrono::seconds time{0};
};

struct SandboxOptions {
  /// $GOLDMILL_HOME/trees/HEX, bottom to top; may be empty.
  std::vector<std::filesystem::path> layers = {};
  /// A work directory (work.hpp), where `upper/` collects the changes; empty: read-only view.
  std::filesystem::path work = {};
  std::int64_t epoch = 0;
  /// Each line of output, without its end; bytes are the program's own, at most 4 KiB.
  std::function<void(std::string_view line)> log = {};
  std::function<bool()> is_cancelled = {};
  SandboxLimits limits = {};
  /// A shared object that every program loads first; empty: none.
  std::string_view preload = {};
};

/// Every call is one worker in namespaces of its own; between calls nothing is mounted or runs.
class OverlaySandbox final : public plan::Sandbox {
 public:
  explicit OverlaySandbox(SandboxOptions options) : options_(std::move(options)) {}

  Result<void> run(const plan::Execution& execution) override;
  Result<std::string> capture(const plan::Execution& execution) override;
  Result<Json> call(std::string_view worker,
                    const Json& request,
                    const std::vector<int>& hands,
                    const std::function<void(const Json&)>& on_event) override;
  Result<std::string> read(std::string_view path) override;
  /// An interactive shell inside, on a terminal of its own, for whoever looks into a failed step.
  /// Errors: unavailable, when standard input is no terminal.
  Result<void> shell();
  std::int64_t epoch() const override { return options_.epoch; }

 private:
  Result<void> execute(const plan::Execution& execution, int kept_output);

  SandboxOptions options_;
};

}  // namespace goldmill::build
