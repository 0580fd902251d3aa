// SPDX-License-Identifier: GPL-3.0-or-later
// TreeWriter: places the files of many packages at once. What lands where never depends on
// which thread came first: contested paths are left out and told, for a rule to decide.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/guest/dpkg_database.hpp>
#include <goldmill/guest/guest_tree.hpp>
#include <goldmill/guest/package_set.hpp>

namespace goldmill::guest {

/// One package's wish for a path: its own name for it, and the entry that it comes from.
struct PathClaim {
  std::size_t package = 0;
  std::string path;  ///< as the package names it
};

/// A path without links, and who wants to place a non-directory there.
struct ContestedPath {
  std::string place;
  std::vector<PathClaim> claims;  ///< by package
};

/// Names of users and groups that the tree knows already.
struct AccountNames {
  std::map<std::string, std::uint32_t> users;
  std::map<std::string, std::uint32_t> groups;
  static Result<AccountNames> read(GuestTree& tree);
};

class TreeWriter {
 public:
  struct Known {
    std::vector<Diversion> diversions = {};
    AccountNames accounts = {};
    /// Links made beforehand which packages may ship as links or name as directories.
    std::set<std::string> links = {};
  };
  TreeWriter(GuestTree& tree, const PackageSet& packages, Known known);

  enum class Order { parallel, serial };
  /// Unpacks every package. Errors: conflict, also when directories and links of different
  /// packages meet so that only one order is right: undo, and call again with Order::serial.
  Result<void> write_all(Order order);
  /// Places only these paths (as the package names them) of one package.
  Result<void> write_some(std::size_t package, const std::map<std::string, std::string>& paths);
  /// Owners, modes and times of the directories made. Call once, when all else is written.
  Result<void> finish_directories();

  std::vector<ContestedPath> contested() const;
  /// Whether a package names this directory (a path without links).
  bool is_claimed_directory(const std::string& place) const;
  /// Each package's paths in its own order, as its list names them.
  const std::vector<std::vector<std::string>>& lists() const { return lists_; }

 private:
  class Unpacking;
  friend class Unpacking;
  struct DirectoryClaim {
    std::size_t package;
    TarEntry entry;
  };
  enum class Role : std::uint8_t { directory, link, other };
  struct Claim {
    std::size_t package;
    Role role;
    std::string path;
  };

  Result<void> write_package(std::size_t index);
  Result<void> find_order_conflicts() const;
  Result<void> remove_contested();
  std::set<std::string> contested_places() const;
  /// True when the package is the first to want the place.
  bool claim(const std::string& place, Claim claim);
  void claim_directory(const std::string& place, std::size_t package, const TarEntry& entry);
  std::string diverted(const std::string& path, const PackageSet::Member& member) const;

  GuestTree& tree_;
  const PackageSet& packages_;
  Known known_;
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<Claim>> claims_;
  std::map<std::string, DirectoryClaim> directories_;
  /// Hard links: their place and their target's.
  std::vector<std::pair<std::string, std::string>> hardlinks_;
  std::vector<std::vector<std::string>> lists_;
};

}  // namespace goldmill::guest
