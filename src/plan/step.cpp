// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/plan/plan.hpp>
#include <goldmill/plan/step.hpp>

namespace goldmill::plan {

Digest key_of(const Step& step, const std::vector<Digest>& parent_layers) {
  return sha256(canonical(describe(step, parent_layers)));
}

}  // namespace goldmill::plan
