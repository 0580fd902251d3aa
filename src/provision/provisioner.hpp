// SPDX-License-Identifier: GPL-3.0-or-later
// Provisioner: one kind of `provision:` entry; a step kind that also makes its steps.
#pragma once

#include <map>
#include <memory>
#include <string>

#include <goldmill/plan/step_kind.hpp>
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::provision {

class Provisioner : public plan::StepKind {
 public:
  /// The step of one entry of this kind.
  virtual Result<plan::Step> make_step(const recipe::Recipe& recipe,
                                       const recipe::ProvisionStep& entry) const = 0;
  /// Packages whose programs such a step uses from outside -> where the recipe asks for them.
  virtual std::map<std::string, std::string> tools(const recipe::ProvisionStep& /*entry*/) const {
    return {};
  }
};

#define PROVISIONER(name) std::unique_ptr<Provisioner> make_##name();
#include "provisioners.def"
#undef PROVISIONER

}  // namespace goldmill::provision
