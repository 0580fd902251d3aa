// SPDX-License-Identifier: GPL-3.0-or-later
// AnsibleInputs: the files of this machine that one Ansible step reads, and where each stands while
// it runs.
#pragma once

#include <string>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/recipe/recipe.hpp>

#include "tool_room.hpp"

namespace goldmill::provision {

/// The playbook; what stands beside it in the directories of Ansible's own names (roles, templates,
/// group_vars, ...) and as files that it names; roles and collections of the recipe.
/// Errors: invalid_input (two roles of one name, a collection without its galaxy.yml); those of
/// reading.
Result<std::vector<ToolInput>> ansible_inputs(const recipe::AnsibleStep& step);

}  // namespace goldmill::provision
