// SPDX-License-Identifier: GPL-3.0-or-later
#include "additions.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include <sys/stat.h>

#include <goldmill/guest/package_relation.hpp>

#include "parallel.hpp"

namespace goldmill::guest {

namespace {
using Reason = std::optional<std::string>;

bool is_installed(const ControlParagraph& package) {
  return package.get("Status").ends_with(" installed");
}

bool is_absent(const ControlParagraph& package) {
  return package.get("Status").ends_with(" not-installed");
}

/// Whether `owner`'s field names `other`, by its name and version or by what it provides.
bool names(const ControlParagraph& owner, const char* field, const ControlParagraph& other) {
  for (const auto& part : parse_relations(owner.get(field))) {
    for (const PackageRelation& relation : part) {
      if (relation.name == other.get("Package") && relation.accepts(other.get("Version"))) {
        return true;
      }
      for (const auto& provided : parse_relations(other.get("Provides"))) {
        for (const PackageRelation& one : provided) {
          if (one.name == relation.name && relation.operation.empty()) {
            return true;
          }
        }
      }
    }
  }
  return false;
}

Reason relation_reason(const ControlParagraph& fresh, const ControlParagraph& old) {
  const std::string pair =
      std::string(fresh.get("Package")) + " and the installed " + std::string(old.get("Package"));
  if (fresh.get("Package") == old.get("Package")) {
    return std::string(fresh.get("Package")) + " is known to the tree already";
  }
  for (const char* field : {"Conflicts", "Breaks"}) {
    if (names(fresh, field, old) || names(old, field, fresh)) {
      return pair + " conflict";
    }
  }
  if (names(fresh, "Replaces", old)) {
    return pair + ": one replaces files of the other";
  }
  return std::nullopt;
}

Reason status_reason(const std::vector<ControlParagraph>& status, const PackageSet& packages) {
  for (const ControlParagraph& old : status) {
    if (is_absent(old)) {
      continue;
    }
    if (!is_installed(old) && !old.get("Status").ends_with(" config-files")) {
      return std::string(old.get("Package")) + " is not wholly installed";
    }
    for (const PackageSet::Member& member : packages.members()) {
      if (auto reason = relation_reason(member.deb.control(), old)) {
        return reason;
      }
    }
  }
  return std::nullopt;
}

Reason preinst_reason(const PackageSet& packages) {
  std::set<std::string, std::less<>> fresh;
  for (const PackageSet::Member& member : packages.members()) {
    fresh.insert(member.wanted.name);
  }
  for (const PackageSet::Member& member : packages.members()) {
    if (member.deb.control_file("preinst") == nullptr) {
      continue;
    }
    for (const auto& part : parse_relations(member.deb.control().get("Pre-Depends"))) {
      for (const PackageRelation& relation : part) {
        if (fresh.contains(relation.name)) {
          return member.wanted.name + "'s first script needs " + relation.name + " configured";
        }
      }
    }
  }
  return std::nullopt;
}

/// What stands in the way of the entries of all packages, found in one walk through them.
class PathCheck {
 public:
  PathCheck(GuestTree& tree, const PackageSet& packages, std::set<std::string> special)
      : tree_(tree), packages_(packages), special_(std::move(special)) {}

  Result<Reason> run() {
    TRY(for_each_parallel(
        packages_.largest_first(), usable_processors(), [this](std::size_t i) { return walk(i); }));
    if (!reasons_.empty()) {
      return Reason(*reasons_.begin());
    }
    for (const auto& [place, kinds] : places_) {
      if (kinds.others.size() > 1 || (!kinds.others.empty() && kinds.is_directory)) {
        return Reason(place + " is in two of the packages");
      }
    }
    return Reason();
  }

 private:
  struct Kinds {
    bool is_directory = false;
    std::set<std::size_t> others;
  };

  Result<void> walk(std::size_t index) {
    const PackageSet::Member& member = packages_.members()[index];
    return member.deb
        .visit([&](const TarEntry& entry, const DataSource&) { return check(index, entry); })
        .context(member.wanted.name);
  }

  Result<void> check(std::size_t index, const TarEntry& entry) {
    if (entry.path == "/") {
      return {};
    }
    if (special_.contains(entry.path)) {
      note(entry.path + " is named by a diversion or statoverride");
    }
    const bool is_directory = entry.kind == TarEntry::Kind::directory;
    const auto old = TRY(tree_.look(entry.path));
    const auto conffile = TRY(tree_.look(entry.path + ".dpkg-new"));
    const bool in_the_way =
        old &&
        (!is_directory || !(S_ISDIR(old->st_mode) || tree_.directory(entry.path).has_value()));
    if (in_the_way || conffile) {
      note(entry.path + " exists already");
    }
    std::string place = entry.path;
    if (const auto found = tree_.place(entry.path)) {
      place = found->path();
    }
    const std::lock_guard guard(mutex_);
    Kinds& kinds = places_[place];
    if (is_directory) {
      kinds.is_directory = true;
    } else {
      kinds.others.insert(index);
    }
    return {};
  }

  void note(std::string reason) {
    const std::lock_guard guard(mutex_);
    reasons_.insert(std::move(reason));
  }

  GuestTree& tree_;
  const PackageSet& packages_;
  std::set<std::string> special_;
  std::mutex mutex_;
  std::set<std::string> reasons_;
  std::map<std::string, Kinds> places_;
};
}  // namespace

Result<std::optional<std::string>> reason_for_dpkg(GuestTree& tree, const PackageSet& packages) {
  const DpkgDatabase database(tree);
  if (TRY(database.excludes_paths())) {
    return Reason("dpkg is configured to leave paths out");
  }
  if (auto reason = status_reason(TRY(database.status()), packages)) {
    return reason;
  }
  if (auto reason = preinst_reason(packages)) {
    return reason;
  }
  std::set<std::string> special;
  for (const Diversion& diversion : TRY(database.diversions())) {
    special.insert(diversion.from);
    special.insert(diversion.to);
  }
  for (std::string& path : TRY(database.statoverrides())) {
    special.insert(std::move(path));
  }
  return PathCheck(tree, packages, std::move(special)).run();
}

}  // namespace goldmill::guest
