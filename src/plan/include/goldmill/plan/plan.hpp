// SPDX-License-Identifier: GPL-3.0-or-later
// Plan: the steps of one image in order, which of them run, and why.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/plan/step.hpp>

namespace goldmill::plan {

/// What is remembered of a step that was done.
struct DoneStep {
  Digest key;
  std::optional<Digest> layer;
  Json description;
  Json result;
  double seconds = 0;
};

/// The memory that a plan asks; the factory gives it the catalogue.
class History {
 public:
  virtual ~History() = default;
  virtual Result<std::optional<DoneStep>> find(const Digest& key) = 0;
  /// The step of this name that the image's builds did last.
  virtual Result<std::optional<DoneStep>> newest(const std::string& image,
                                                 const std::string& step) = 0;
  /// The step of the described kind that the image's builds did last on the described layers: what
  /// stood at this place, when a step's name says what is in it.
  virtual Result<std::optional<DoneStep>> newest_at(const std::string& image,
                                                    const Json& description) = 0;
};

struct PlannedStep {
  Step step;
  /// Unknown while a step before it has yet to make its layer.
  std::optional<Digest> key;
  /// Set when the step is never run again.
  std::optional<DoneStep> done;
  /// Why it runs: "new", "openssl 3.0.15-1 -> 3.0.16-1", "packages runs before it".
  std::string reason;
  std::optional<double> expected_seconds;
};

/// The image that a variant stands on; without layers for a base.
struct Parent {
  /// "base@7".
  std::string reference;
  std::vector<Digest> layers;
};

struct Plan {
  std::string image;
  std::vector<Digest> parent_layers;
  std::vector<PlannedStep> steps;

  bool is_done() const;
  /// {"image", "steps": [{"name", "kind", "key", "result": "cached"|"runs", "reason",
  /// "manner", "expected_seconds"}]}
  Json to_json() const;
};

/// What `explain` and keys are about: kind, version, options, inputs, parents.
Json describe(const Step& step, const std::vector<Digest>& parent_layers);

/// The layers that are part of a step's key. Assets and tools depend on their declared inputs only,
/// so that a new kernel does not make the boot loader again.
std::vector<Digest> parents_of(const Step& step, const std::vector<Digest>& layers);

/// Decides for each step whether it runs.
Result<Plan> make_plan(const std::string& image,
                       std::vector<Step> steps,
                       const Parent& parent,
                       History& history);

/// The first input that differs between two descriptions, in words; "" when none does. A step that
/// stood on other layers of the parent says "base is now base@7".
std::string first_difference(const Json& before, const Json& now, const Parent& parent = {});

}  // namespace goldmill::plan
