// SPDX-License-Identifier: GPL-3.0-or-later

#include <goldmill/factory/build_image.hpp>
#include <goldmill/guest/foreign_programs.hpp>
#include <goldmill/provision/provision.hpp>
#include <goldmill/recipe/load.hpp>
#include <goldmill/store/reference.hpp>
#include <goldmill/system/worker.hpp>

#include "image_build.hpp"
#include "image_recipe.hpp"
#include "stopwatch.hpp"

namespace goldmill::factory {

namespace {

/// The subjects of a lineage one after another: each needs the image of the one before it.
class Line {
 public:
  static Result<Line> read(Session& session, const BuildRequest& request) {
    auto lineage = TRY(recipe::load_lineage(request.recipe, {request.set}));
    return Line(session, std::move(lineage.recipes));
  }

  std::size_t size() const { return recipes_.size(); }

  /// Said before packages are resolved and fetched: no build of this line can end well here.
  Result<void> check_possible() const {
    const recipe::Recipe& base = recipes_.front();
    if (base.os) {
      TRY(guest::check_programs_run(base.os->architecture).context(base.name));
    }
    for (std::size_t index = first(); index < size(); ++index) {
      TRY(provision::check_available(recipes_[index]));
    }
    TRY(system::GuestIds::find());
    return {};
  }

  /// The first recipe that has to be looked at: nothing before a parent that is said by version
  /// or channel, or that has no recipe here, is built.
  std::size_t first() const {
    std::size_t first = 0;
    for (std::size_t index = 1; index < recipes_.size(); ++index) {
      first = is_pinned(index) ? index : first;
    }
    return first;
  }

  /// The recipe at `index` with its parent's image: `built` when this build made it, else the
  /// one in the store.
  Result<Subject> subject(std::size_t index, const std::optional<store::ImageRecord>& built) const {
    const recipe::Recipe& own = recipes_[index];
    if (own.from.empty()) {
      return Subject{own, recipe::merged({own}), std::nullopt};
    }
    const auto image = built ? *built : TRY(stored_parent(own));
    const recipe::Recipe parent = TRY(recipe_of(image));
    return Subject{own, recipe::merged({parent, own}), ParentImage{image, parent}};
  }

 private:
  Line(Session& session, std::vector<recipe::Recipe> recipes)
      : session_(&session), recipes_(std::move(recipes)) {}

  bool is_pinned(std::size_t index) const {
    const auto reference = store::ImageReference::parse(recipes_[index].from);
    return reference && (reference->version > 0 || !reference->channel.empty());
  }

  Result<store::ImageRecord> stored_parent(const recipe::Recipe& own) const {
    auto image = session_->catalogue.find_image(TRY(store::ImageReference::parse(own.from)));
    if (!image && image.error().kind == ErrorKind::not_found) {
      return Error{ErrorKind::not_found,
                   own.origin.text() + ": there is neither an image " + own.from +
                       " nor a recipe of that name beside " + own.file.filename().string(),
                   "build it first, or put its recipe into the same directory"};
    }
    return image;
  }

  Session* session_;
  std::vector<recipe::Recipe> recipes_;
};

}  // namespace

Result<std::vector<plan::Plan>> plan_image(Session& session, const BuildRequest& request) {
  const Line line = TRY(Line::read(session, request));
  std::vector<plan::Plan> plans;
  std::optional<store::ImageRecord> built;
  for (std::size_t index = line.first(); index < line.size(); ++index) {
    auto subject = line.subject(index, built);
    if (!subject) {
      return std::move(subject).error();
    }
    ImageBuild build = TRY(ImageBuild::prepare(session, request, *std::move(subject)));
    plan::Plan& plan = plans.emplace_back(TRY(build.plan()));
    built = plan.is_done() ? TRY(build.find_finished(plan)) : std::nullopt;
    plan.steps.push_back(build.plan_disk(plan, built));
    if (!built) {
      break;  // what stands on it is known only when it has been built
    }
  }
  return plans;
}

Result<BuildReport> build_image(Session& session, const BuildRequest& request) {
  const Stopwatch stopwatch;
  const Line line = TRY(Line::read(session, request));
  TRY(line.check_possible());
  BuildReport report;
  std::optional<store::ImageRecord> built;
  for (std::size_t index = line.first(); index < line.size(); ++index) {
    ImageBuild build = TRY(ImageBuild::prepare(session, request, TRY(line.subject(index, built))));
    BuildReport one = TRY(build.run());
    built = one.image;
    report.image = std::move(one.image);
    report.steps.insert(report.steps.end(), one.steps.begin(), one.steps.end());
  }
  report.seconds = stopwatch.seconds();
  return report;
}

Json BuildReport::to_json() const {
  Json rows = Json::array();
  for (const StepReport& step : steps) {
    rows.push_back({{"image", step.image},
                    {"name", step.name},
                    {"key", step.key},
                    {"result", step.ran ? "ran" : "cached"},
                    {"seconds", step.seconds}});
  }
  const Json* packages = find_value(image.details, "packages");
  return {{"image",
           {{"name", image.name},
            {"version", image.version},
            {"digest", image.digest.text()},
            {"disk_digest", image.disk_digest.text()},
            {"packages", packages == nullptr ? 0 : packages->size()},
            {"disk_used_bytes", find_integer(image.details, "disk_used_bytes").value_or(0)}}},
          {"steps", std::move(rows)},
          {"seconds", seconds}};
}

}  // namespace goldmill::factory
