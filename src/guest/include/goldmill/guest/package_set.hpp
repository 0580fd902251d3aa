// SPDX-License-Identifier: GPL-3.0-or-later
// PackageSet: the verified packages of one installation, in the order that decides ties.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/guest/deb.hpp>

namespace goldmill::guest {

/// A package as the lock names it.
struct WantedPackage {
  std::string name;
  std::string version;
  std::string architecture;
  Digest digest;
  std::uint64_t size = 0;
  bool automatic = false;

  /// Errors: invalid_input (a field is missing or cannot be a package's).
  static Result<WantedPackage> from_json(const Json& json);
};

/// A line of a package's conffiles.
struct Conffile {
  std::string path;
  /// The package no longer has it; dpkg remembers that.
  bool remove_on_upgrade = false;
};

class PackageSet {
 public:
  struct Member {
    WantedPackage wanted;
    Deb deb;
    /// "libc6:amd64" for packages that may stand beside another architecture's, else the name.
    std::string file_name;
    std::vector<Conffile> conffiles;  ///< in the order of the package
  };

  /// Opens `HEX.deb` for each in the directory. Members come in dependency order: a package
  /// after what it pre-depends and depends on, where that is possible, else by name.
  /// Errors: not_found, corrupt, invalid_input.
  static Result<PackageSet> open(int cache,
                                 std::vector<WantedPackage> wanted,
                                 const DebLimits& limits = {});

  const std::vector<Member>& members() const { return members_; }
  /// The index of the member, or size() of members.
  std::size_t index_of(std::string_view name, std::string_view architecture) const;
  /// Indices, the largest package first: the best order for two or more workers.
  std::vector<std::size_t> largest_first() const;
  /// What a new tree configures before anything else: the essential packages and passwd, each
  /// with all that it needs. None of these makes an account.
  std::vector<std::size_t> configured_first() const;

 private:
  std::vector<Member> members_;
};

/// Names may only hold what dpkg allows: they become file names.
bool is_package_name(std::string_view name);
bool is_architecture_name(std::string_view name);
/// Source: deb-version(7). It goes into the status file and to the user's terminal.
bool is_version(std::string_view version);

}  // namespace goldmill::guest
