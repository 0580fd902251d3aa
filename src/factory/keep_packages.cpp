// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/factory/keep_packages.hpp>
#include <goldmill/factory/lock_file.hpp>
#include <goldmill/recipe/load.hpp>

#include "lineages.hpp"

namespace goldmill::factory {

namespace fs = std::filesystem;

namespace {

class Keeping {
 public:
  Keeping(Session& session, const KeepRequest& request, const Lineages& lineages)
      : session_(session), request_(request), members_(lineages.members()) {}

  Result<std::vector<KeptRecipe>> run() {
    std::vector<KeptRecipe> kept;
    for (const Lineages::Member& member : members_) {
      merged_.push_back(TRY(merged(member)));
      if (!request_.only_own || is_asked_for(member)) {
        kept.push_back(TRY(keep(member.own, merged_.back()).context(member.own.name)));
      }
    }
    return kept;
  }

 private:
  bool is_asked_for(const Lineages::Member& member) const {
    std::error_code ignored;
    return std::any_of(request_.recipes.begin(), request_.recipes.end(), [&](const fs::path& file) {
      return fs::equivalent(file, member.own.file, ignored);
    });
  }

  Result<recipe::Recipe> merged(const Lineages::Member& member) const {
    if (member.parent) {
      return recipe::merged({merged_[*member.parent], member.own});
    }
    return TRY(subject_of(session_, member.own, std::nullopt)).merged;
  }

  Result<KeptRecipe> keep(const recipe::Recipe& own, const recipe::Recipe& merged) {
    const fs::path file = LockFile::path_for(own.file);
    const auto lock = TRY(LockFile::find(file));
    if (!lock) {
      return Error{ErrorKind::conflict,
                   own.file.string() + " is not locked yet: which packages to keep is not decided",
                   "goldmill lock " + own.file.string() + " decides without building"};
    }
    const guest::PinnedPackages pinned = TRY(lock->pinned().context(file.string()));
    KeptRecipe kept;
    kept.recipe = own.name;
    kept.directory = LockFile::kept_path_for(own.file);
    if (!request_.to.empty()) {
      kept.directory = request_.to / kept.directory.filename();
    }
    TRY(fetch(own, merged, pinned, kept.directory));
    std::vector<guest::PackageFile> packages = pinned.packages.packages;
    for (const guest::Resolution* more : {&pinned.tools, &pinned.step_tools}) {
      packages.insert(packages.end(), more->packages.begin(), more->packages.end());
    }
    for (const auto& [step, more] : pinned.step_packages) {
      packages.insert(packages.end(), more.begin(), more.end());
    }
    kept.kept = TRY(guest::keep_packages(packages, session_.home.packages(), kept.directory));
    if (request_.prune) {
      TRY(prune(kept));
    }
    return kept;
  }

  Result<void> fetch(const recipe::Recipe& own,
                     const recipe::Recipe& merged,
                     const guest::PinnedPackages& pinned,
                     const fs::path& kept) {
    const auto family = TRY(guest::DebianFamily::open(
        *merged.os,
        {.home = session_.home.root(), .kept = kept, .note = [this](std::string_view line) {
           session_.observer.note(line);
         }}));
    return family.fetch({own, merged},
                        pinned,
                        [this](std::string_view phase, std::uint64_t done, std::uint64_t total) {
                          session_.observer.step_progress(phase, done, total);
                        });
  }

  static Result<void> prune(KeptRecipe& kept) {
    for (const std::string& name : kept.kept.not_wanted) {
      std::error_code failure;
      fs::remove(kept.directory / name, failure);
      if (failure) {
        return system_error("cannot remove " + (kept.directory / name).string(), failure.value());
      }
      ++kept.pruned;
    }
    kept.kept.not_wanted.clear();
    return {};
  }

  Session& session_;
  const KeepRequest& request_;
  const std::vector<Lineages::Member>& members_;
  std::vector<recipe::Recipe> merged_;
};

}  // namespace

Json KeptRecipe::to_json() const {
  return {{"recipe", recipe},
          {"directory", directory.string()},
          {"packages", kept.packages},
          {"bytes", kept.size.value},
          {"added", kept.added},
          {"repaired", kept.repaired},
          {"not_wanted", kept.not_wanted.size()},
          {"pruned", pruned}};
}

Result<std::vector<KeptRecipe>> keep_packages(Session& session, const KeepRequest& request) {
  BuildRequest build;
  build.recipes = request.recipes;
  build.os = request.os;
  const Lineages lineages = TRY(Lineages::read(build));
  return Keeping(session, request, lineages).run();
}

}  // namespace goldmill::factory
