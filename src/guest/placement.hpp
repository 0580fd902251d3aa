// SPDX-License-Identifier: GPL-3.0-or-later
// Placement: after the preinst scripts of a new tree have run, puts contested paths and those
// that the scripts diverted where dpkg would have put them.
#pragma once

#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/guest/dpkg_database.hpp>
#include <goldmill/guest/guest_tree.hpp>
#include <goldmill/guest/package_set.hpp>

#include "tree_writer.hpp"

namespace goldmill::guest {

/// Which of the claims at one place win, and where; the others lose the path from their list.
/// Errors: conflict, when two packages ship the same file and neither replaces the other.
struct Verdict {
  struct Winner {
    PathClaim claim;
    std::string target;
  };
  std::vector<Winner> winners;
  std::vector<PathClaim> losers;
};
Result<Verdict> judge(const ContestedPath& contested,
                      const PackageSet& packages,
                      const std::vector<Diversion>& diversions);

Result<void> place_remaining(GuestTree& tree,
                             const PackageSet& packages,
                             const std::vector<ContestedPath>& contested);

}  // namespace goldmill::guest
