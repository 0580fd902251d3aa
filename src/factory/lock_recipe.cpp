// SPDX-License-Identifier: GPL-3.0-or-later
#include <map>
#include <set>

#include <goldmill/factory/lock_recipe.hpp>

#include "image_build.hpp"
#include "lineages.hpp"

namespace goldmill::factory {

namespace {

/// The finished image of an ancestor: what the lock of a variant is about.
Result<store::ImageRecord> finished(Session& session,
                                    const BuildRequest& request,
                                    Subject subject) {
  const std::string name = subject.own.name;
  const std::string file = subject.own.file.string();
  ImageBuild build = TRY(ImageBuild::prepare(session, request, std::move(subject)));
  const plan::Plan plan = TRY(build.plan());
  auto image = plan.is_done() ? TRY(build.find_finished(plan)) : std::nullopt;
  if (!image) {
    return Error{ErrorKind::conflict,
                 "the image " + name + " is not up to date, and packages are locked on it",
                 "build it first: goldmill build " + file};
  }
  return *std::move(image);
}

/// What steps install is only known when they run. How many there are.
std::size_t forget_undecided(std::vector<Move>& moves, const std::optional<LockFile>& old) {
  std::set<std::string> of_steps;
  for (const Json& entry : old ? old->step_packages : Json::object()) {
    const Json* packages = find_value(entry, "packages");
    for (const Json& package : packages == nullptr ? Json::array() : *packages) {
      of_steps.insert(find_string(package, "name").value_or(""));
    }
  }
  return std::erase_if(
      moves, [&](const Move& move) { return move.to.empty() && of_steps.contains(move.package); });
}

Json or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

}  // namespace

std::vector<Move> moves_between(const std::map<std::string, std::string>& before,
                                const std::map<std::string, std::string>& after) {
  std::map<std::string, Move> by_name;
  for (const auto& [name, version] : before) {
    by_name[name] = {name, version, ""};
  }
  for (const auto& [name, version] : after) {
    Move& move = by_name[name];
    move.package = name;
    move.to = version;
  }
  std::vector<Move> moves;
  for (auto& [name, move] : by_name) {
    if (move.from != move.to) {
      moves.push_back(std::move(move));
    }
  }
  return moves;
}

Json LockReport::to_json() const {
  Json rows = Json::array();
  for (const Move& move : moved) {
    rows.push_back(
        {{"package", move.package}, {"from", or_null(move.from)}, {"to", or_null(move.to)}});
  }
  return {{"recipe", recipe}, {"lock", file.string()}, {"packages", packages}, {"moved", rows}};
}

Result<LockReport> lock_recipe(Session& session, const BuildRequest& request) {
  const Lineages lineages = TRY(Lineages::read(request));
  BuildRequest as_locked = request;
  as_locked.update = false;
  std::optional<store::ImageRecord> parent;
  const auto& members = lineages.members();
  for (std::size_t index = 0; index + 1 < members.size(); ++index) {
    parent =
        TRY(finished(session, as_locked, TRY(subject_of(session, members[index].own, parent))));
  }
  const recipe::Recipe& own = members.back().own;
  LockReport report;
  report.recipe = own.name;
  report.file = LockFile::path_for(own.file);
  const auto old = TRY(LockFile::find(report.file));
  ImageBuild build =
      TRY(ImageBuild::prepare(session, request, TRY(subject_of(session, own, parent))));
  TRY(build.adopt_inputs(TRY(build.plan())));
  TRY(build.write_lock());
  const auto now = build.lock().versions();
  report.packages = now.size();
  report.moved = moves_between(old ? old->versions() : std::map<std::string, std::string>(), now);
  if (const std::size_t open = forget_undecided(report.moved, old); open > 0) {
    session.observer.note(std::to_string(open) +
                          " packages that steps install are decided by the next build");
  }
  return report;
}

}  // namespace goldmill::factory
