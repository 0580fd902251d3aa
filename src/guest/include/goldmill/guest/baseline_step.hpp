// SPDX-License-Identifier: GPL-3.0-or-later
// BaselineStep: what a recipe's baseline promises, as configuration of a Debian or Ubuntu guest.
// Included by the planner of the Debian family and, for ports, by prove/.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/guest/tree_files.hpp>
#include <goldmill/plan/step.hpp>
#include <goldmill/plan/step_kind.hpp>
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::guest {

/// An inbound port of the firewall or of `promises: ports`.
struct Port {
  std::uint16_t number = 0;
  std::string protocol = "tcp";  ///< or "udp"
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 sees a 0 in every <=>
  friend auto operator<=>(const Port&, const Port&) = default;
};
/// "ssh", "http", "https", "8080/tcp", "53/udp". Errors: invalid_input, with "did you mean".
Result<Port> parse_port(std::string_view text);

/// The packages that the baseline needs, sorted: part of what the packages step installs.
std::vector<std::string> baseline_packages(const recipe::Recipe& merged, const recipe::Os& os);

struct BaselineInput {
  const recipe::Recipe& merged;  ///< recipe::merged() of the whole lineage
  const recipe::Os& os;
  /// recipe::merged() of the parent's lineage: only what differs from it is written.
  const recipe::Recipe* parent = nullptr;
  /// Files whose text others decide on (fstab, apt's sources), and what the parent was given.
  std::vector<TreeFile> given = {};
  std::vector<TreeFile> parent_given = {};
};

/// nullopt when a variant changes nothing of its parent's baseline.
/// Errors: invalid_input (a port).
Result<std::optional<plan::Step>> make_baseline_step(const BaselineInput& input);

/// Kind "debian.baseline".
std::unique_ptr<plan::StepKind> baseline_step_kind();

/// All files of a baseline, for tests and `explain`. Errors: invalid_input (a port).
Result<std::vector<TreeFile>> baseline_files(const recipe::Recipe& merged, const recipe::Os& os);

/// One line per thing that holds, for `explain`: what it is and what it does. The rules of the
/// security policy are standard_policy().
std::vector<std::string> explain_baseline(const recipe::Recipe& merged);

/// The step that installs the agent for this architecture. Errors: unavailable when this build
/// of goldmill holds none.
Result<plan::Step> make_agent_step(std::string_view architecture);
/// Kind "goldmill.agent".
std::unique_ptr<plan::StepKind> agent_step_kind();

}  // namespace goldmill::guest
