// SPDX-License-Identifier: GPL-3.0-or-later
// PackageDoor: how programs of a sandbox without a network get packages: the tree's own apt reads
// the pinned indexes and asks goldmill for each file. The interface is here, with those who use it
// (provision/); the implementation is the OS family's, in guest/.
#pragma once

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/plan/sandbox.hpp>
#include <goldmill/plan/step.hpp>

namespace goldmill::plan {

class PackageDoor {
 public:
  virtual ~PackageDoor() = default;
  /// Opens it, and adds to an execution what the tree's apt needs to find it. Called again, it
  /// only adds. Errors: those of reading the archive's indexes.
  virtual Result<void> open(Execution& execution) = 0;
  /// Ends it, and brings the tree into the form that installed packages have in layers.
  /// Gives [{"name", "version", "architecture", "sha256", ...}]: what came through.
  virtual Result<Json> close(Sandbox& sandbox) = 0;
};

/// The step with the packages that it discovered while it ran among its options: what its key is
/// made of from then on. Nothing discovered leaves it as it is.
Step with_packages(Step step, const Json& packages);

/// Of what the step itself says, without layers, dates and discoveries: while this stays, the
/// packages that were discovered stay.
Digest declaration_of(const Step& step);

}  // namespace goldmill::plan
