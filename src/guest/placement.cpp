// SPDX-License-Identifier: GPL-3.0-or-later
#include "placement.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>

#include <goldmill/guest/package_relation.hpp>

namespace goldmill::guest {

namespace {
std::string effective(const PathClaim& claim,
                      const PackageSet& packages,
                      const std::vector<Diversion>& diversions) {
  const std::string& package = packages.members()[claim.package].wanted.name;
  for (const Diversion& diversion : diversions) {
    if (diversion.from == claim.path && diversion.package != package) {
      return diversion.to;
    }
  }
  return claim.path;
}

bool replaces(const PackageSet::Member& one, const PackageSet::Member& other) {
  for (const auto& part : parse_relations(one.deb.control().get("Replaces"))) {
    for (const PackageRelation& relation : part) {
      if (relation.name == other.wanted.name && relation.accepts(other.wanted.version)) {
        return true;
      }
      for (const auto& provided : parse_relations(other.deb.control().get("Provides"))) {
        if (relation.operation.empty() && provided.front().name == relation.name) {
          return true;
        }
      }
    }
  }
  return false;
}

Result<void> judge_equals(const std::vector<PathClaim>& claims,
                          const std::string& target,
                          const std::string& place,
                          const PackageSet& packages,
                          Verdict& verdict) {
  const auto& members = packages.members();
  for (const PathClaim& claim : claims) {
    const bool replaces_all = std::all_of(claims.begin(), claims.end(), [&](const PathClaim& o) {
      return o.package == claim.package || replaces(members[claim.package], members[o.package]);
    });
    if (!replaces_all) {
      continue;
    }
    verdict.winners.push_back({claim, target});
    for (const PathClaim& other : claims) {
      if (other.package != claim.package) {
        verdict.losers.push_back(other);
      }
    }
    return {};
  }
  const PathClaim& first = claims.front();
  const bool is_shared = std::all_of(claims.begin(), claims.end(), [&](const PathClaim& other) {
    return members[other.package].wanted.name == members[first.package].wanted.name;
  });
  if (!is_shared) {
    return Error{ErrorKind::conflict,
                 place + " is in both " + members[first.package].wanted.name + " and " +
                     members[claims.back().package].wanted.name,
                 "install only one of them"};
  }
  verdict.winners.push_back({first, target});
  return {};
}

/// The same file by two names ("/lib/x", "/usr/lib/x"): the name without links wins, so that
/// every build agrees. dpkg would let the last one win.
void judge_aliases(Verdict& verdict, const std::string& place) {
  const auto is_real = [&](const Verdict::Winner& winner) { return winner.target == place; };
  const auto real = std::find_if(verdict.winners.begin(), verdict.winners.end(), is_real);
  if (real == verdict.winners.end()) {
    return;
  }
  const Verdict::Winner kept = *real;
  std::erase_if(verdict.winners, [&](const Verdict::Winner& winner) {
    return winner.target != place && parent_of(winner.target) != parent_of(place) &&
           last_part_of(winner.target) == last_part_of(place);
  });
}

Result<void> divert_one(GuestTree& tree, const Diversion& diversion, const std::string& suffix) {
  const auto status = TRY(tree.look(diversion.from + suffix));
  if (!status) {
    return {};
  }
  if (S_ISDIR(status->st_mode) || tree.directory(diversion.from).has_value()) {
    TRY(tree.make_directory(TRY(tree.place(diversion.to, Missing::create))));
    return {};
  }
  const GuestPlace from = TRY(tree.place(diversion.from + suffix));
  const GuestPlace to = TRY(tree.place(diversion.to + suffix, Missing::create));
  if (::renameat(from.descriptor(), from.name.c_str(), to.descriptor(), to.name.c_str()) != 0) {
    return system_error("cannot divert " + diversion.from, errno);
  }
  return {};
}

std::string suffix_of(const PackageSet::Member& member, const std::string& path) {
  const bool is_conffile =
      std::any_of(member.conffiles.begin(), member.conffiles.end(), [&](const Conffile& conffile) {
        return conffile.path == path;
      });
  return is_conffile ? ".dpkg-new" : "";
}

using PackagePath = std::pair<std::size_t, std::string>;

Result<void> apply_diversions(GuestTree& tree,
                              const PackageSet& packages,
                              const std::vector<Diversion>& diversions,
                              const std::set<PackagePath>& placed) {
  const DpkgDatabase database(tree);
  for (std::size_t i = 0; i < packages.members().size() && !diversions.empty(); ++i) {
    const PackageSet::Member& member = packages.members()[i];
    const auto list = TRY(database.read_list(member));
    const std::set<std::string> paths(list.begin(), list.end());
    for (const Diversion& diversion : diversions) {
      if (diversion.package != member.wanted.name && paths.contains(diversion.from) &&
          !placed.contains({i, diversion.from})) {
        TRY(divert_one(tree, diversion, suffix_of(member, diversion.from)));
      }
    }
  }
  return {};
}
}  // namespace

Result<Verdict> judge(const ContestedPath& contested,
                      const PackageSet& packages,
                      const std::vector<Diversion>& diversions) {
  std::map<std::string, std::vector<PathClaim>> by_target;
  for (const PathClaim& claim : contested.claims) {
    by_target[effective(claim, packages, diversions)].push_back(claim);
  }
  Verdict verdict;
  for (const auto& [target, claims] : by_target) {
    if (claims.size() == 1) {
      verdict.winners.push_back({claims.front(), target});
    } else {
      TRY(judge_equals(claims, target, contested.place, packages, verdict));
    }
  }
  judge_aliases(verdict, contested.place);
  return verdict;
}

Result<void> place_remaining(GuestTree& tree,
                             const PackageSet& packages,
                             const std::vector<ContestedPath>& contested) {
  DpkgDatabase database(tree);
  const auto diversions = TRY(database.diversions());
  std::map<std::size_t, std::map<std::string, std::string>> chosen;
  std::map<std::size_t, std::set<std::string>> lost;
  std::set<PackagePath> placed;
  for (const ContestedPath& path : contested) {
    for (const PathClaim& claim : path.claims) {
      placed.insert({claim.package, claim.path});
    }
    const Verdict verdict = TRY(judge(path, packages, diversions));
    for (const auto& winner : verdict.winners) {
      chosen[winner.claim.package][winner.claim.path] = winner.target;
    }
    for (const PathClaim& loser : verdict.losers) {
      lost[loser.package].insert(loser.path);
    }
  }
  TRY(apply_diversions(tree, packages, diversions, placed));
  TreeWriter writer(tree, packages, {});
  for (const auto& [package, paths] : chosen) {
    TRY(writer.write_some(package, paths));
  }
  for (const auto& [package, paths] : lost) {
    const PackageSet::Member& member = packages.members()[package];
    auto list = TRY(database.read_list(member));
    std::erase_if(list, [&gone = paths](const std::string& path) { return gone.contains(path); });
    TRY(database.write_list(member, list));
  }
  return writer.finish_directories();
}

}  // namespace goldmill::guest
