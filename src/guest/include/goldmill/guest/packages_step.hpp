// SPDX-License-Identifier: GPL-3.0-or-later
// PackagesStep: the step kind "debian.packages". Brings a tree to what a resolution says.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include <goldmill/plan/step_kind.hpp>

namespace goldmill::guest {

/// Brings the resolution's packages into the cache, as HEX.deb.
using FetchPackages = std::function<Result<void>(
    const Json& resolution, const std::filesystem::path& cache, plan::Progress& progress)>;

/// Options: {"architecture": "amd64", "resolution": (to_json of a Resolution),
///   "accounts": {"passwd": [lines], "group": [...], "shadow": [...], "gshadow": [...]}}.
/// An empty tree is unpacked by our own code, then its preinst scripts run; so are packages that
/// merely add paths; all others go through the tree's own dpkg. Then one `dpkg --configure -a`.
/// Result: {"case": "new"|"added"|"dpkg", "why_dpkg": text or null, "packages": count,
///   "accounts": (as in the options: the lines which the parent did not have)}.
/// Errors: tool_failed (names the package and its script), corrupt, conflict, no_space.
class PackagesStep : public plan::StepKind {
 public:
  explicit PackagesStep(FetchPackages fetch) : fetch_(std::move(fetch)) {}
  std::string_view name() const override { return "debian.packages"; }
  int version() const override { return 3; }
  Result<Json> run(const plan::Step& step, plan::StepContext& context) override;

 private:
  FetchPackages fetch_;
};

/// By which of these ways a resolution will be unpacked, in words. What the packages' own contents
/// decide is known only when they are there.
std::string unpacked_by(const Json& resolution, bool new_root);

}  // namespace goldmill::guest
