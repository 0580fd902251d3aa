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
  Json record;  ///< record_of() it
  Json result;
  double seconds = 0;
};

/// The memory that a plan asks; the factory gives it the catalogue.
class History {
 public:
  virtual ~History() = default;
  virtual Result<std::optional<DoneStep>> find(const Digest& key) = 0;
  /// The steps of this name that the image's builds did last, newest first.
  virtual Result<std::vector<DoneStep>> earlier(const std::string& image,
                                                const std::string& step,
                                                int most) = 0;
  /// Those of the recorded kind on the recorded layers: what stood at this place, when a step's
  /// name says what is in it.
  virtual Result<std::vector<DoneStep>> earlier_at(const std::string& image,
                                                   const Json& record,
                                                   int most) = 0;
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

/// What keys are about: kind, version, options, inputs, parents.
Json describe(const Step& step, const std::vector<Digest>& parent_layers);

/// Where a record has the files of the inputs.
constexpr const char* kContents = "contents";

/// What is remembered of a step, for later plans to compare with: what describe() says, and
/// kContents.
Json record_of(const Step& step, const std::vector<Digest>& parent_layers);

/// The layers that are part of a step's key. Assets and tools depend on their declared inputs only,
/// so that a new kernel does not make the boot loader again.
std::vector<Digest> parents_of(const Step& step, const std::vector<Digest>& layers);

/// Decides for each step whether it runs.
Result<Plan> make_plan(const std::string& image,
                       std::vector<Step> steps,
                       const Parent& parent,
                       History& history);

}  // namespace goldmill::plan
