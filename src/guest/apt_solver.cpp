// SPDX-License-Identifier: GPL-3.0-or-later
// What apt-get install does, with the answer as data: marks, resolves, orders.
#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include <apt-pkg/algorithms.h>
#include <apt-pkg/cachefile.h>
#include <apt-pkg/configuration.h>
#include <apt-pkg/depcache.h>
#include <apt-pkg/error.h>
#include <apt-pkg/indexfile.h>
#include <apt-pkg/metaindex.h>
#include <apt-pkg/packagemanager.h>
#include <apt-pkg/pkgcache.h>
#include <apt-pkg/pkgrecords.h>
#include <apt-pkg/sourcelist.h>
#include <apt-pkg/strutl.h>
#include <apt-pkg/version.h>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/system/file.hpp>

#include "apt_request.hpp"
#include "apt_session.hpp"
#include "source_text.hpp"
#include "unmet_dependency.hpp"

namespace goldmill::guest {

namespace {

using PackageRef = pkgCache::PkgIterator;
using VersionRef = pkgCache::VerIterator;

std::string full_name(const PackageRef& package) {
  return std::string(package.Name()) + ":" + package.Arch();
}

bool comes_before(const PackageFile& one, const PackageFile& other) {
  return std::tie(one.name, one.architecture) < std::tie(other.name, other.architecture);
}

/// libapt's own ordering, recorded instead of run.
class RecordedOrder : public pkgPackageManager {
 public:
  RecordedOrder(pkgDepCache* cache, std::vector<Operation>* operations)
      : pkgPackageManager(cache), operations_(*operations) {
    FileNames = new std::string[cache->Head().PackageCount];  // the base class deletes it
    for (PackageRef package = cache->PkgBegin(); !package.end(); ++package) {
      if ((*cache)[package].Install()) {
        FileNames[package->ID] = "known";  // without a file it is passed over
      }
    }
  }

 protected:
  bool Install(PackageRef package, std::string /*file*/) override {
    return record(Operation::Kind::unpack, package);
  }
  bool Configure(PackageRef package) override {
    return record(Operation::Kind::configure, package);
  }
  bool Remove(PackageRef package, bool purge) override {
    return record(purge ? Operation::Kind::purge : Operation::Kind::remove, package);
  }

 private:
  bool record(Operation::Kind kind, const PackageRef& package) {
    operations_.push_back({kind, full_name(package)});
    return true;
  }
  std::vector<Operation>& operations_;
};

class Solver {
 public:
  Solver(const AptSettings& settings, const ResolveRequest& request)
      : settings_(settings), request_(request), keep_(request.keep) {}

  Result<ResolvedRoot> run() {
    TRY(open());
    TRY(check_parent());
    TRY(choose_all());
    TRY(give_up_blocking_versions());
    auto marked = mark_all();
    if (!marked && !keep_.empty()) {
      keep_.clear();  // rather newer ones than none
      TRY(begin_again());
      marked = mark_all();
    }
    TRY(std::move(marked));
    TRY(check_outcome());
    ResolvedRoot root{TRY(collect()), {}};
    root.tools = TRY(add_tools(root.packages).context("tools that the build needs"));
    return root;
  }

  Result<std::vector<Upgrade>> upgrades() {
    TRY(open());
    map_sources();
    std::vector<Upgrade> found;
    for (PackageRef package = states().PkgBegin(); !package.end(); ++package) {
      const VersionRef now = package.CurrentVer();
      const VersionRef candidate = states()[package].CandidateVerIter(cache());
      if (!now.end() && !candidate.end() && is_newer(candidate, now)) {
        found.push_back(
            {package.Name(), now.VerStr(), candidate.VerStr(), is_security_fix(now, candidate)});
      }
    }
    std::sort(found.begin(), found.end(), [](const Upgrade& one, const Upgrade& other) {
      return std::tuple(!one.security, one.name) < std::tuple(!other.security, other.name);
    });
    return found;
  }

 private:
  /// By the version's text: the same one may be listed twice, as installed and as in the archive.
  bool is_newer(const VersionRef& one, const VersionRef& other) {
    return cache().VS->CmpVersion(one.VerStr(), other.VerStr()) > 0;
  }

  /// Has a security suite any version on the way from one to the other?
  bool is_security_fix(const VersionRef& now, const VersionRef& candidate) {
    for (VersionRef version = candidate.ParentPkg().VersionList(); !version.end(); ++version) {
      if (!is_newer(version, now) || is_newer(version, candidate)) {
        continue;
      }
      for (pkgCache::VerFileIterator file = version.FileList(); !file.end(); ++file) {
        if (is_security(file.File())) {
          return true;
        }
      }
    }
    return false;
  }

  /// Debian labels the archive; Ubuntu names the suite.
  static bool is_security(const pkgCache::PkgFileIterator& file) {
    const auto text = [](const char* value) {
      return std::string_view(value == nullptr ? "" : value);
    };
    return text(file.Label()) == "Debian-Security" ||
           text(file.Codename()).ends_with("-security") ||
           text(file.Archive()).ends_with("-security");
  }

  pkgCache& cache() { return *files_.GetPkgCache(); }
  pkgDepCache& states() { return *files_.GetDepCache(); }

  Result<void> open() {
    pkgSourceList* const list = files_.GetSourceList();
    if (list == nullptr) {
      return take_apt_error("the sources cannot be read", ErrorKind::invalid_input);
    }
    for (const InstallRequest& wanted : request_.install) {
      if (!wanted.file.empty() && !list->AddVolatileFile(wanted.file.string())) {
        return located(
            request_,
            wanted.name,
            take_apt_error("not a Debian package: " + wanted.name, ErrorKind::invalid_input));
      }
    }
    if (!files_.Open(nullptr, false)) {
      return take_apt_error("the package indexes cannot be read", ErrorKind::corrupt);
    }
    _error->Discard();
    return {};
  }

  Result<void> check_parent() {
    if (states().BrokenCount() == 0 && states().BadCount() == 0) {
      return {};
    }
    for (PackageRef package = states().PkgBegin(); !package.end(); ++package) {
      if (package->CurrentVer != nullptr && states()[package].NowBroken()) {
        return Error{ErrorKind::conflict,
                     "the image that this is built on has a broken package: " +
                         unmet_of(states(), package, package.CurrentVer()),
                     "build that image again, or leave the package out of it"};
      }
    }
    return Error{ErrorKind::conflict,
                 "the image that this is built on has half-installed packages",
                 "build that image again"};
  }

  Result<void> choose_all() {
    for (const auto& [name, kept] : keep_) {
      const VersionRef version = version_of(name, kept);
      if (!version.end() && is_newer_than_installed(version)) {
        states().SetCandidateVersion(version);
      }
    }
    chosen_.clear();
    unwanted_.clear();
    for (const InstallRequest& wanted : request_.install) {
      auto version = wanted.file.empty() ? choose(wanted) : choose_local(wanted);
      if (!version) {
        return located(request_, wanted.name, std::move(version).error());
      }
      chosen_.push_back(*version);
    }
    if (request_.new_root) {
      add_essential();
    }
    for (const std::string& name : request_.remove) {
      const PackageRef package = find(name);
      if (package.end() || (package->VersionList == nullptr && package->CurrentVer == nullptr)) {
        if (is_slip_of(name, nearest(name, known_names()))) {
          return located(request_, name, unknown(name));
        }
        continue;  // what no source has does not come in: profiles of other systems name such
      }
      unwanted_.push_back(package);
    }
    return {};
  }

  /// libapt takes a candidate for the only version there is. So those that are kept, but too old
  /// for what is wanted, are let go, until nothing is broken or nothing kept is in the way.
  Result<void> give_up_blocking_versions() {
    while (!keep_.empty()) {
      pkgProblemResolver resolver(&states());
      mark_wanted(resolver);
      std::set<std::string> blocking;
      std::set<unsigned int> seen;
      for (PackageRef package = states().PkgBegin(); !package.end(); ++package) {
        if (states()[package].InstBroken()) {
          find_blocking(states()[package].InstVerIter(cache()), blocking, seen);
        }
      }
      for (const std::string& name : blocking) {
        keep_.erase(name);
      }
      TRY(begin_again());
      if (blocking.empty()) {
        break;
      }
    }
    return {};
  }

  Result<void> begin_again() {
    if (!states().Init(nullptr)) {
      return take_apt_error("the packages' states cannot be read anew", ErrorKind::internal);
    }
    return choose_all();
  }

  void find_blocking(const VersionRef& version,
                     std::set<std::string>& blocking,
                     std::set<unsigned int>& seen) {
    if (version.end() || !seen.insert(version->ID).second) {
      return;
    }
    for (pkgCache::DepIterator need = version.DependsList(); !need.end();) {
      pkgCache::DepIterator first = need;
      pkgCache::DepIterator last = need;
      need.GlobOr(first, last);
      if (!states().IsImportantDep(last) || (states()[last] & pkgDepCache::DepGInstall) != 0) {
        continue;
      }
      if (keep_.contains(version.ParentPkg().Name())) {
        blocking.insert(version.ParentPkg().Name());  // it wants older ones than there will be
      }
      for (pkgCache::DepIterator one = first;; ++one) {
        const PackageRef target = one.TargetPkg();
        const auto kept = keep_.find(target.Name());
        // Of what it breaks one that matches is in the way, of what it needs one that does not.
        if (kept != keep_.end() &&
            one.IsSatisfied(version_of(kept->first, kept->second)) == one.IsNegative()) {
          blocking.insert(kept->first);
        }
        if (!one.IsNegative()) {
          find_blocking(target.VersionList(), blocking, seen);
        }
        if (one == last) {
          break;
        }
      }
    }
  }

  /// A new parent may have moved past what its variant keeps.
  static bool is_newer_than_installed(const VersionRef& version) {
    const VersionRef installed = version.ParentPkg().CurrentVer();
    return installed.end() || installed.CompareVer(version) < 0;
  }

  VersionRef version_of(const std::string& name, const std::string& text) {
    const PackageRef package = find(name);
    VersionRef version = package.end() ? VersionRef(cache()) : package.VersionList();
    while (!version.end() && text != version.VerStr()) {
      ++version;
    }
    return version;
  }

  /// A name may say its architecture: "libc6:arm64".
  PackageRef find(const std::string& name) {
    const std::size_t colon = name.find(':');
    if (colon != std::string::npos) {
      return cache().FindPkg(name.substr(0, colon), name.substr(colon + 1));
    }
    return cache().FindPkg(name);
  }

  std::vector<std::string> known_names() {
    std::vector<std::string> names;
    for (pkgCache::GrpIterator group = cache().GrpBegin(); !group.end(); ++group) {
      for (PackageRef package = group.PackageList(); !package.end();
           package = group.NextPkg(package)) {
        if (package->VersionList != nullptr) {
          names.emplace_back(group.Name());
          break;
        }
      }
    }
    return names;
  }

  Error unknown(const std::string& name) {
    const std::string near = nearest(name, known_names());
    return Error{ErrorKind::not_found,
                 "no package is named '" + name + "' in the sources",
                 near.empty() ? "check the spelling, or add the repository that has it"
                              : "did you mean '" + near + "'?"};
  }

  /// A virtual name stands for its provider when there is just one.
  Result<VersionRef> choose_provider(const std::string& name, const PackageRef& package) {
    std::set<std::string> providers;
    VersionRef only(cache());
    for (pkgCache::PrvIterator provide = package.ProvidesList(); !provide.end(); ++provide) {
      const VersionRef version = states()[provide.OwnerPkg()].CandidateVerIter(cache());
      if (!version.end() && version == provide.OwnerVer()) {
        providers.insert(provide.OwnerPkg().Name());
        only = version;
      }
    }
    if (providers.size() == 1) {
      return only;
    }
    if (providers.empty()) {
      return unknown(name);
    }
    std::string list;
    for (const std::string& provider : providers) {
      list += (list.empty() ? "" : ", ") + provider;
    }
    return Error{ErrorKind::invalid_input,
                 "'" + name + "' is a virtual package with several providers",
                 "name one of them: " + list};
  }

  Result<VersionRef> choose(const InstallRequest& wanted) {
    const PackageRef package = find(wanted.name);
    if (package.end()) {
      return unknown(wanted.name);
    }
    if (package->VersionList == nullptr) {
      return choose_provider(wanted.name, package);
    }
    if (wanted.version.empty()) {
      const VersionRef version = package->CurrentVer != nullptr
                                     ? package.CurrentVer()
                                     : states()[package].CandidateVerIter(cache());
      return version.end() ? choose_provider(wanted.name, package) : Result<VersionRef>(version);
    }
    std::string known;
    for (VersionRef version = package.VersionList(); !version.end(); ++version) {
      if (wanted.version == version.VerStr()) {
        return version;
      }
      known += (known.empty() ? "" : ", ") + std::string(version.VerStr());
    }
    return Error{ErrorKind::not_found,
                 "the sources have no version " + wanted.version + " of '" + wanted.name + "'",
                 "there is: " + known};
  }

  static bool is_from(const VersionRef& version, const std::filesystem::path& path) {
    for (pkgCache::VerFileIterator file = version.FileList(); !file.end(); ++file) {
      if (file.File().FileName() != nullptr && path == file.File().FileName()) {
        return true;
      }
    }
    return false;
  }

  Result<VersionRef> choose_local(const InstallRequest& wanted) {
    for (PackageRef package = states().PkgBegin(); !package.end(); ++package) {
      for (VersionRef version = package.VersionList(); !version.end(); ++version) {
        if (is_from(version, wanted.file)) {
          local_[version->ID] = wanted.file;
          return version;
        }
      }
    }
    return Error{
        ErrorKind::invalid_input,
        "the package in " + wanted.name + " cannot be installed on " + settings_.architecture};
  }

  void add_essential() {
    for (PackageRef package = states().PkgBegin(); !package.end(); ++package) {
      const bool wanted =
          (package->Flags & pkgCache::Flag::Essential) != 0 || package.Name() == std::string("apt");
      if (!wanted || package.Arch() != settings_.architecture) {
        continue;
      }
      const VersionRef version = states()[package].CandidateVerIter(cache());
      const bool known = std::any_of(chosen_.begin(), chosen_.end(), [&](const VersionRef& other) {
        return other.ParentPkg() == package;
      });
      if (!version.end() && !known) {
        chosen_.push_back(version);
      }
    }
  }

  void mark_wanted(pkgProblemResolver& resolver) {
    const pkgDepCache::ActionGroup group(states());
    for (const PackageRef& package : unwanted_) {
      resolver.Clear(package);
      resolver.Remove(package);
      resolver.Protect(package);
      states().MarkDelete(package, true, 0, true);
    }
    // All names first, then their dependencies: alternatives that are asked for count.
    for (const bool dependencies : {false, true}) {
      for (const VersionRef& version : chosen_) {
        mark(resolver, version, dependencies);
      }
    }
  }

  Result<void> mark_all() {
    pkgProblemResolver resolver(&states());
    mark_wanted(resolver);
    if (!resolver.Resolve(true) || states().BrokenCount() != 0) {
      _error->Discard();
      return explain();
    }
    _error->Discard();
    return {};
  }

  void mark(pkgProblemResolver& resolver, const VersionRef& version, bool dependencies) {
    const PackageRef package = version.ParentPkg();
    if (package.CurrentVer() == version) {
      states().MarkAuto(package, false);
      resolver.Protect(package);
      return;
    }
    if (!dependencies) {
      states().SetCandidateVersion(version);
      resolver.Clear(package);
      resolver.Protect(package);
      states().MarkInstall(package, false, 0, true);
    } else if (states()[package].InstBroken()) {
      states().MarkInstall(package, true, 0, true);
    }
  }

  Error explain() {
    std::string reasons;
    for (const VersionRef& version : chosen_) {
      const PackageRef package = version.ParentPkg();
      if (states()[package].InstBroken() || !(states()[package].InstVerIter(cache()) == version)) {
        const std::string reason = unmet_of(states(), package, version);
        reasons += reason.empty() ? "" : (reasons.empty() ? "" : "; ") + reason;
      }
    }
    for (PackageRef package = states().PkgBegin(); reasons.empty() && !package.end(); ++package) {
      if (states()[package].InstBroken()) {
        reasons = unmet_of(states(), package, states()[package].InstVerIter(cache()));
      }
    }
    return Error{ErrorKind::invalid_input,
                 "the packages cannot be installed together: " + reasons,
                 "leave one of them out, or add the repository that has what is missing"};
  }

  Result<void> check_outcome() {
    for (PackageRef package = states().PkgBegin(); !package.end(); ++package) {
      const pkgDepCache::StateCache& state = states()[package];
      const bool leaves = state.Delete() && package->CurrentVer != nullptr;
      if (leaves && (package->Flags & pkgCache::Flag::Essential) != 0) {
        return Error{
            ErrorKind::invalid_input,
            "this would remove the essential package '" + std::string(package.Name()) + "'",
            "ask for packages that do not conflict with it"};
      }
      const bool changes = leaves || (state.Install() && !state.NewInstall());
      if (changes && package->SelectedState == pkgCache::State::Hold) {
        return Error{ErrorKind::conflict,
                     "'" + std::string(package.Name()) + "' is held at " +
                         package.CurrentVer().VerStr() + ", but would have to change",
                     "release the hold in the image that this is built on"};
      }
    }
    for (const PackageRef& package : unwanted_) {
      const pkgDepCache::StateCache& state = states()[package];
      if (state.Install() || (package->CurrentVer != nullptr && !state.Delete())) {
        return Error{ErrorKind::invalid_input,
                     "'" + std::string(package.Name()) +
                         "' cannot be left out: it is essential, "
                         "or also asked for",
                     "take '-" + std::string(package.Name()) + "' out of the packages"};
      }
    }
    for (const VersionRef& version : chosen_) {
      const PackageRef package = version.ParentPkg();
      if (!(states()[package].InstVerIter(cache()) == version)) {
        return explain();
      }
    }
    return {};
  }

  /// What is marked now: packages that come and packages that go.
  Result<Resolution> collect_changes() {
    Resolution changes;
    pkgRecords records(cache());
    for (PackageRef package = states().PkgBegin(); !package.end(); ++package) {
      const pkgDepCache::StateCache& state = states()[package];
      if (state.Install()) {
        changes.packages.push_back(TRY(describe(package, records)));
      } else if (state.Delete() && package->CurrentVer != nullptr) {
        changes.removed.push_back(full_name(package));
      }
    }
    std::sort(changes.packages.begin(), changes.packages.end(), comes_before);
    std::sort(changes.removed.begin(), changes.removed.end());
    return changes;
  }

  Result<Resolution> collect() {
    map_sources();
    Resolution resolution = TRY(collect_changes());
    for (const VersionRef& version : chosen_) {
      resolution.manual.emplace_back(version.ParentPkg().Name());
    }
    std::sort(resolution.manual.begin(), resolution.manual.end());
    RecordedOrder order(&states(), &resolution.operations);
    if (order.DoInstallPreFork() == pkgPackageManager::Failed || _error->PendingError()) {
      return take_apt_error("no order was found to install the packages in",
                            ErrorKind::invalid_input);
    }
    for (const Source& source : settings_.sources) {
      TRY(add_dates(source, resolution));
    }
    return resolution;
  }

  Result<Resolution> add_tools(const Resolution& root) {
    Resolution tools;
    tools.epoch = root.epoch;
    tools.suites = root.suites;
    if (request_.tools.empty()) {
      return tools;
    }
    for (const std::string& name : request_.tools) {
      chosen_.push_back(TRY(choose({.name = name})));
    }
    TRY(mark_all());
    TRY(check_outcome());
    const Resolution all = TRY(collect_changes());
    std::set_difference(all.packages.begin(),
                        all.packages.end(),
                        root.packages.begin(),
                        root.packages.end(),
                        std::back_inserter(tools.packages),
                        comes_before);
    return tools;
  }

  /// Index files by their path -> source.
  void map_sources() {
    for (metaIndex* const index : *files_.GetSourceList()) {
      int number = 0;
      for (; number < static_cast<int>(settings_.sources.size()); ++number) {
        const Source& source = settings_.sources[static_cast<std::size_t>(number)];
        if (without_slash(source.uri) == without_slash(index->GetURI()) &&
            std::find(source.suites.begin(), source.suites.end(), index->GetDist()) !=
                source.suites.end()) {
          break;
        }
      }
      for (pkgIndexFile* const file : *index->GetIndexFiles()) {
        const pkgCache::PkgFileIterator in_cache = file->FindInCache(cache());
        if (!in_cache.end()) {
          source_of_[in_cache->ID] = number;
        }
      }
    }
  }

  /// The first source that has the version.
  std::optional<std::pair<pkgCache::VerFileIterator, int>> file_of(const VersionRef& version) {
    std::optional<std::pair<pkgCache::VerFileIterator, int>> best;
    for (pkgCache::VerFileIterator file = version.FileList(); !file.end(); ++file) {
      const auto source = source_of_.find(file.File()->ID);
      if (source != source_of_.end() && (!best || source->second < best->second)) {
        best = {file, source->second};
      }
    }
    return best;
  }

  Result<PackageFile> describe(const PackageRef& package, pkgRecords& records) {
    const VersionRef version = states()[package].InstVerIter(cache());
    PackageFile file{.name = package.Name(),
                     .version = version.VerStr(),
                     .architecture = version.Arch(),
                     .sha256 = {},
                     .size = version->Size,
                     .installed_size = version->InstalledSize,
                     .pool_path = {},
                     .source_index = -1,
                     .essential = (package->Flags & pkgCache::Flag::Essential) != 0,
                     .automatic = (states()[package].Flags & pkgCache::Flag::Auto) != 0,
                     .pre_depends = false,
                     .upgrades_from = {}};
    if (package->CurrentVer != nullptr) {
      file.upgrades_from = package.CurrentVer().VerStr();
    }
    for (pkgCache::DepIterator need = version.DependsList(); !need.end(); ++need) {
      file.pre_depends = file.pre_depends || need->Type == pkgCache::Dep::PreDepends;
    }
    const auto local = local_.find(version->ID);
    if (local != local_.end()) {
      file.sha256 = local->second.stem().string();  // the cache names files so
      file.size = fs_size(local->second);
      return file;
    }
    const auto place = file_of(version);
    if (!place) {
      return Error{ErrorKind::not_found, "no source has " + file.name + " " + file.version};
    }
    pkgRecords::Parser& record = records.Lookup(place->first);
    const HashStringList hashes = record.Hashes();
    const HashString* const hash = hashes.find("SHA256");
    if (hash == nullptr) {
      return Error{ErrorKind::corrupt,
                   "the index has no SHA-256 for " + file.name + " " + file.version,
                   "the repository is too old to be trusted; have it made again"};
    }
    file.sha256 = hash->HashValue();
    file.pool_path = record.FileName();
    file.source_index = place->second;
    return file;
  }

  static std::uint64_t fs_size(const std::filesystem::path& path) {
    std::error_code failed;
    const auto size = std::filesystem::file_size(path, failed);
    return failed ? 0 : size;
  }

  static Result<void> add_dates(const Source& source, Resolution& resolution) {
    for (const std::string& suite : source.suites) {
      const std::int64_t date = TRY(release_date(source, suite));
      resolution.suites[source.name + "/" + suite] = date;
      resolution.epoch = std::max(resolution.epoch, date);
    }
    return {};
  }

  /// Read here, since metaIndex::Load parses all the hashes for it. libapt verified the file.
  static Result<std::int64_t> release_date(const Source& source, const std::string& suite) {
    const std::string text =
        TRY(system::read_file(release_file(source.uri, suite)).context("while reading the index"));
    const std::size_t start = text.find("\nDate: ");
    const std::size_t end = text.find('\n', start == std::string::npos ? start : start + 1);
    time_t date = 0;
    if (start == std::string::npos || end == std::string::npos ||
        !RFC1123StrToTime(text.substr(start + 7, end - start - 7), date)) {
      return Error{ErrorKind::corrupt, "the index of " + suite + " has no valid date"};
    }
    return static_cast<std::int64_t>(date);
  }

  const AptSettings& settings_;
  const ResolveRequest& request_;
  pkgCacheFile files_;
  std::vector<VersionRef> chosen_;
  std::vector<PackageRef> unwanted_;
  std::map<std::string, std::string> keep_;  // of the request's, what is not in the way
  std::map<unsigned int, std::filesystem::path> local_;
  std::map<unsigned int, int> source_of_;
};

}  // namespace

Result<std::vector<Upgrade>> compare(const AptSettings& settings, const ResolveRequest& request) {
  return Solver(settings, request).upgrades();
}

Result<ResolvedRoot> solve(const AptSettings& settings, const ResolveRequest& request) {
  return Solver(settings, request).run();
}

}  // namespace goldmill::guest
