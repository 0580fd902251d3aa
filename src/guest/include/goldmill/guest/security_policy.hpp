// SPDX-License-Identifier: GPL-3.0-or-later
// SecurityPolicy: the rules of `security: standard`, one by one. The guest's files, the text of
// `explain` and docs/reference/security-standard.md all come from this table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <goldmill/guest/tree_files.hpp>

namespace goldmill::guest {

struct PolicyRule {
  enum class Kind : std::uint8_t {
    sysctl,      ///< setting of the kernel: "key = value"
    module_off,  ///< a kernel module that is never loaded
    sshd,        ///< a line of the SSH server's settings
    sudo,        ///< a line of sudo's settings
    limit,       ///< a line of pam_limits
  };
  Kind kind = Kind::sysctl;
  std::string_view setting;
  std::string_view why;
  std::string_view source;
};

const std::vector<PolicyRule>& standard_policy();

/// The drop-ins that put the rules into force.
std::vector<TreeFile> policy_files(const std::vector<PolicyRule>& rules);

/// docs/reference/security-standard.md.
std::string policy_markdown(const std::vector<PolicyRule>& rules);

}  // namespace goldmill::guest
