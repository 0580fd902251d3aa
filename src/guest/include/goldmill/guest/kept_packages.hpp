// SPDX-License-Identifier: GPL-3.0-or-later
// Kept packages: a directory beside a lock that holds each locked package as HEX.deb, for the day
// on which the archive has it no longer. The factory fills it; every build looks there first.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/guest/resolver.hpp>

namespace goldmill::guest {

struct KeptPackages {
  std::size_t packages = 0;             ///< that the directory holds now, of those wanted
  Bytes size;                           ///< of them
  std::size_t added = 0;                ///< that it did not hold before
  std::vector<std::string> repaired;    ///< names of packages whose file there was damaged
  std::vector<std::string> not_wanted;  ///< package files there that are none of those wanted
};

/// Brings the packages of `cache` into `directory`, which is made when missing. Each file there is
/// hashed, new or old, and appears whole or not at all.
/// Errors: corrupt, when the cache's own file is damaged; no_space.
Result<KeptPackages> keep_packages(const std::vector<PackageFile>& packages,
                                   const std::filesystem::path& cache,
                                   const std::filesystem::path& directory);

/// Brings into `cache` what it lacks and `directory` has. Gives the files there that are damaged;
/// they are not used.
Result<std::vector<std::filesystem::path>> take_kept_packages(
    const std::vector<PackageFile>& packages,
    const std::filesystem::path& directory,
    const std::filesystem::path& cache);

}  // namespace goldmill::guest
