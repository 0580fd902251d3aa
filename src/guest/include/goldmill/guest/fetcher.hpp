// SPDX-License-Identifier: GPL-3.0-or-later
// Fetcher: brings package files into the cache, which several builds share.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/guest/archive.hpp>
#include <goldmill/guest/resolver.hpp>

namespace goldmill::guest {

struct FetchRequest {
  std::vector<PackageFile> packages = {};
  std::vector<Source> sources = {};
  /// $GOLDMILL_HOME/packages; libapt's scratch files come into `work` beside it.
  std::filesystem::path cache_directory = {};
  std::string proxy = {};  ///< "" takes the machine's
  /// Hash files that are in the cache already. Off, their size is compared: a file gets its name
  /// only after its hash was right and it was on disk, so that only a failing disk or another
  /// writer can spoil it; the size shows a truncated one for free.
  bool verify = false;
};

/// Downloads what the cache lacks, resumed, retried, each file verified before it gets its name
/// CACHE/<sha256>.deb. With nothing missing the network is not touched.
/// Errors: corrupt, not_found (the archive has it no longer), unavailable, no_space.
Result<void> fetch(const FetchRequest& request, const FetchProgress& progress = {});

/// Where a package's file is, once fetched.
std::filesystem::path cached_file(const std::filesystem::path& cache_directory,
                                  const std::string& sha256);

/// Copies a local .deb into the cache. Returns its SHA-256.
/// Errors: not_found, invalid_input (no Debian package), no_space.
Result<std::string> add_to_cache(const std::filesystem::path& file,
                                 const std::filesystem::path& cache_directory);

/// The local .deb files of a recipe by their SHA-256.
using LocalFiles = std::map<std::string, std::filesystem::path>;

/// As fetch(), for what comes from beside the recipe: such a file may have left the cache, or this
/// machine's never had it. Errors: as add_to_cache().
Result<void> fetch_local(const FetchRequest& request, const LocalFiles& files);

}  // namespace goldmill::guest
