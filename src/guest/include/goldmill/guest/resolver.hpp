// SPDX-License-Identifier: GPL-3.0-or-later
// Resolver: which packages, exactly, a root needs to hold what was asked. libapt decides.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/guest/archive.hpp>

namespace goldmill::guest {

/// One package to be there: by name, by name and exact version, or as a local file.
struct InstallRequest {
  std::string name = {};
  std::string version = {};
  std::filesystem::path file = {};
};

enum class Refresh : std::uint8_t {
  if_missing,  ///< look at the archive only when its indexes were never read: no network else
  always,      ///< look for newer indexes
};

struct ResolveRequest {
  std::string architecture = "amd64";
  std::vector<Source> sources = {};
  std::string dpkg_status = {};      ///< text of the parent's /var/lib/dpkg/status
  std::string extended_states = {};  ///< text of the parent's /var/lib/apt/extended_states
  /// A package that is installed stays as it is, unless a version is asked for or a dependency
  /// needs a newer one: a variant adds what it needs; newer packages come by a newer base.
  std::vector<InstallRequest> install = {};
  std::vector<std::string> remove = {};  ///< in a new root: must not come in
  /// Name -> version that is preferred to a newer one, where the archive has it.
  std::map<std::string, std::string> keep = {};
  /// Where a name or a local file of the two lists was written ("web.yaml:4:5"), for errors.
  std::map<std::string, std::string> asked_at = {};
  std::vector<std::string> tools = {};  ///< names that only a build of the image needs
  bool new_root = false;                ///< adds the essential packages and apt
  bool recommends = false;
  /// $GOLDMILL_HOME/archives, shared between builds; libapt's scratch files come into `work`
  /// beside it.
  std::filesystem::path state_directory = {};
  std::filesystem::path cache_directory = {};  ///< where local files are copied to (see fetcher)
  std::string proxy = {};                      ///< "" takes the machine's
  Refresh refresh = Refresh::if_missing;
};

struct PackageFile {
  std::string name;
  std::string version;
  std::string architecture;          ///< of the package: "amd64", "all"
  std::string sha256;                ///< hexadecimal; also its name in the cache
  std::uint64_t size = 0;            ///< bytes of the .deb
  std::uint64_t installed_size = 0;  ///< bytes, as the package says
  std::string pool_path;             ///< below the source's URI; "" for a local file
  int source_index = 0;              ///< into ResolveRequest::sources; -1 for a local file
  bool essential = false;
  bool automatic = false;     ///< came in as a dependency
  bool pre_depends = false;   ///< has Pre-Depends
  std::string upgrades_from;  ///< the version that it replaces, or ""

  friend bool operator==(const PackageFile&, const PackageFile&) = default;
};

struct Operation {
  enum class Kind : std::uint8_t { unpack, configure, remove, purge };
  Kind kind = Kind::unpack;
  std::string package;  ///< "name:architecture", the architecture never "all"

  friend bool operator==(const Operation&, const Operation&) = default;
};

struct Resolution {
  std::vector<PackageFile> packages;  ///< sorted by name, then architecture
  std::vector<std::string> removed;   ///< "name:architecture", sorted
  std::vector<std::string> manual;    ///< names asked for that were automatic or are new
  /// In the order in which apt would have dpkg do them. A package without a configure of its own
  /// is configured by the `dpkg --configure -a` that follows the last one.
  std::vector<Operation> operations;
  std::int64_t epoch = 0;  ///< newest Release date of the sources, seconds since 1970
  std::map<std::string, std::int64_t> suites;  ///< "main/bookworm" -> its Release date

  friend bool operator==(const Resolution&, const Resolution&) = default;
};

struct ResolvedRoot {
  Resolution packages;
  Resolution tools;  ///< the packages that ResolveRequest::tools need on top; no operations
};

/// What lock files hold. Contains no URI and no path of this machine.
Json to_json(const Resolution& resolution);
Result<Resolution> resolution_from_json(const Json& json);
Json to_json(const PackageFile& package);
Result<PackageFile> package_from_json(const Json& json);

/// Phase ("indexes", "packages") and bytes.
using FetchProgress =
    std::function<void(std::string_view phase, std::uint64_t done, std::uint64_t total)>;

/// Errors: not_found (a package or version, with what there is instead), invalid_input (cannot be
/// installed together: names the unmet dependency), conflict (held or broken in the parent),
/// corrupt (a signature or hash is wrong), unavailable (the archive cannot be reached).
Result<ResolvedRoot> resolve_root(const ResolveRequest& request,
                                  const FetchProgress& progress = {});
/// An installed package of which the sources have a newer version.
struct Upgrade {
  std::string name;
  std::string installed;
  std::string available;
  bool security = false;  ///< a version between them came through a security suite
};

Json to_json(const Upgrade& upgrade);

/// What is newer than the packages of `request.dpkg_status`, security fixes first, then by name.
/// Errors: corrupt, unavailable, as resolve_root().
Result<std::vector<Upgrade>> find_upgrades(const ResolveRequest& request,
                                           const FetchProgress& progress = {});

/// For a request without tools.
Result<Resolution> resolve(const ResolveRequest& request, const FetchProgress& progress = {});

}  // namespace goldmill::guest
