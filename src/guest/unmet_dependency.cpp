// SPDX-License-Identifier: GPL-3.0-or-later
#include "unmet_dependency.hpp"

#include <set>

namespace goldmill::guest {

namespace {

constexpr int kDeepest = 6;

std::string in_words(const pkgCache::DepIterator& need) {
  std::string text = need.TargetPkg().Name();
  if (need.TargetVer() != nullptr) {
    text += std::string(" (") + need.CompType() + " " + need.TargetVer() + ")";
  }
  return text;
}

class Chain {
 public:
  explicit Chain(pkgDepCache& states) : states_(states) {}

  std::string of(const pkgCache::VerIterator& version, int depth) {
    if (version.end() || depth > kDeepest || !seen_.insert(version->ID).second) {
      return {};
    }
    std::string text;
    for (pkgCache::DepIterator need = version.DependsList(); !need.end();) {
      pkgCache::DepIterator first = need;
      pkgCache::DepIterator last = need;
      need.GlobOr(first, last);
      if (!states_.IsImportantDep(last) || (states_[last] & pkgDepCache::DepGInstall) != 0) {
        continue;
      }
      const std::string reason = why(version, first, last, depth);
      text += reason.empty() ? "" : (text.empty() ? "" : "; ") + reason;
    }
    return text;
  }

 private:
  std::string why(const pkgCache::VerIterator& version,
                  const pkgCache::DepIterator& first,
                  const pkgCache::DepIterator& last,
                  int depth) {
    const std::string name = version.ParentPkg().Name();
    if (last.IsNegative()) {
      return name + " conflicts with " + in_words(last);
    }
    std::string names;
    std::string deeper;
    for (pkgCache::DepIterator one = first; !one.end(); ++one) {
      names += (names.empty() ? "" : " or ") + in_words(one);
      if (deeper.empty()) {
        deeper = of(candidate_for(one), depth + 1);
      }
      if (one == last) {
        break;
      }
    }
    const std::string text = name + " needs " + names;
    if ((states_[last] & pkgDepCache::DepGCVer) == 0) {
      return text + ", " + what_there_is(last);
    }
    return deeper.empty() ? text + ", which is kept out" : text + ", and " + deeper;
  }

  pkgCache::VerIterator candidate_for(const pkgCache::DepIterator& need) {
    return states_[need.TargetPkg()].CandidateVerIter(states_.GetCache());
  }

  std::string what_there_is(const pkgCache::DepIterator& need) {
    const pkgCache::VerIterator candidate = candidate_for(need);
    if (candidate.end()) {
      return "which no source has";
    }
    return std::string("but there is only ") + candidate.VerStr();
  }

  pkgDepCache& states_;
  std::set<unsigned int> seen_;
};

}  // namespace

std::string unmet_of(pkgDepCache& states,
                     const pkgCache::PkgIterator& package,
                     const pkgCache::VerIterator& version) {
  const std::string text = Chain(states).of(version, 0);
  return text.empty() ? std::string(package.Name()) + " cannot be installed" : text;
}

}  // namespace goldmill::guest
