// SPDX-License-Identifier: GPL-3.0-or-later
// StepKind: how one kind of step runs. Implemented in guest/ and provision/, called by build/.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include <goldmill/base/result.hpp>
#include <goldmill/plan/booted_tree.hpp>
#include <goldmill/plan/package_door.hpp>
#include <goldmill/plan/sandbox.hpp>
#include <goldmill/plan/step.hpp>

namespace goldmill::plan {

/// What a running step may say: phases and counts for the progress bar, lines for the log.
struct Progress {
  std::function<void(std::string_view phase, std::uint64_t done, std::uint64_t total)> show;
  std::function<void(std::string_view line)> log;
};

struct StepContext {
  Sandbox& sandbox;
  Progress& progress;
  /// $GOLDMILL_HOME/packages: verified package files by digest, shared between builds.
  std::filesystem::path package_cache;
  /// The tree with the programs of Step::tools; empty when the step has none.
  std::filesystem::path tools = {};
  /// For programs that install packages; nullptr where none can be had.
  PackageDoor* packages = nullptr;
  /// For a step that boots; nullptr for others.
  BootedTree* booted = nullptr;
};

class StepKind {
 public:
  virtual ~StepKind() = default;
  virtual std::string_view name() const = 0;
  /// Raised whenever the same inputs would give another layer.
  virtual int version() const = 0;
  /// Does the work. The result is stored with the step (accounts made, reports, ...), {} is fine.
  virtual Result<Json> run(const Step& step, StepContext& context) = 0;
};

}  // namespace goldmill::plan
