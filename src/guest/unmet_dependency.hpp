// SPDX-License-Identifier: GPL-3.0-or-later
// Why a package cannot be installed, in words; used by the solver in the "apt" worker.
#pragma once

#include <string>

#include <apt-pkg/depcache.h>

namespace goldmill::guest {

/// "a needs b (>= 2), which no source has; ...", following the chain down to the first cause.
/// "" when nothing is unmet.
std::string unmet_of(pkgDepCache& states,
                     const pkgCache::PkgIterator& package,
                     const pkgCache::VerIterator& version);

}  // namespace goldmill::guest
