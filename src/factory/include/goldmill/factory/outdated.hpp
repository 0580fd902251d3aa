// SPDX-License-Identifier: GPL-3.0-or-later
// Which images have packages that the archive has newer.
#pragma once

#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/factory/session.hpp>
#include <goldmill/guest/resolver.hpp>

namespace goldmill::factory {

struct OutdatedRequest {
  std::vector<std::string> images;  ///< references; empty: the newest of every name
  bool offline = false;             ///< compare with the indexes that were read last
};

/// What a step used that no package database of the image has: the boot loader's packages, whose
/// files are on the image's disk, or Puppet.
struct OutdatedTool {
  std::string step;  ///< "boot loader"
  guest::Upgrade upgrade;
};

struct OutdatedImage {
  std::string image;                     ///< "base@3"
  std::string recipe_file;               ///< where it was built from
  std::vector<guest::Upgrade> upgrades;  ///< of the packages that it does not have from its parent
  std::vector<OutdatedTool> tools;       ///< of its steps, and of a parent's that is not looked at
  std::vector<std::string> reaches;      ///< newest images that stand on it, and have them too
  std::size_t security() const;
  /// {"image", "recipe_file", "security", "packages": [{"name", "installed", "available",
  ///  "security"}], "tools": [as packages, with "step"], "reaches"}
  Json to_json() const;
};

/// Those with upgrades, parents before what stands on them.
/// Errors: not_found (an image), corrupt, unavailable (the archive).
Result<std::vector<OutdatedImage>> find_outdated(Session& session, const OutdatedRequest& request);

}  // namespace goldmill::factory
