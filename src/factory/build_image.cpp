// SPDX-License-Identifier: GPL-3.0-or-later
#include <chrono>

#include <goldmill/factory/build_image.hpp>
#include <goldmill/recipe/load.hpp>
#include <goldmill/store/reference.hpp>

#include "image_build.hpp"

namespace goldmill::factory {

namespace {

/// The subjects of a lineage one after another: each needs the image of the one before it.
class Line {
 public:
  static Result<Line> read(Session& session, const BuildRequest& request) {
    auto lineage = TRY(recipe::load_lineage(request.recipe, {request.set}));
    if (!lineage.missing_parent.empty()) {
      const auto reference = TRY(store::ImageReference::parse(lineage.missing_parent));
      return Error{ErrorKind::not_found,
                   lineage.recipes.front().origin.text() + ": there is no recipe " +
                       reference.name + ".yaml beside " +
                       lineage.recipes.front().file.filename().string(),
                   "put the recipe of '" + reference.name + "' into the same directory"};
    }
    return Line(session, std::move(lineage.recipes));
  }

  std::size_t size() const { return recipes_.size(); }

  /// The recipe at `index` with its parent's image, which must have been built or pinned.
  Result<Subject> subject(std::size_t index, const std::optional<store::ImageRecord>& built) const {
    const std::vector<recipe::Recipe> ancestors(
        recipes_.begin(), recipes_.begin() + static_cast<std::ptrdiff_t>(index));
    std::vector<recipe::Recipe> all = ancestors;
    all.push_back(recipes_[index]);
    Subject subject{recipes_[index], recipe::merged(all), std::nullopt};
    if (index > 0) {
      const auto image = built ? *built : TRY(session_->catalogue.find_image(wanted_parent(index)));
      subject.parent = ParentImage{image, recipe::merged(ancestors)};
    }
    return subject;
  }

  /// True when `from:` names a version or channel: then that image is used as it is.
  bool is_pinned(std::size_t index) const {
    const auto reference = store::ImageReference::parse(recipes_[index].from);
    return index > 0 && reference && (reference->version > 0 || !reference->channel.empty());
  }

  /// The first recipe that has to be looked at: nothing before a pinned parent is.
  std::size_t first() const {
    std::size_t first = 0;
    for (std::size_t index = 0; index < recipes_.size(); ++index) {
      first = is_pinned(index) ? index : first;
    }
    return first;
  }

 private:
  Line(Session& session, std::vector<recipe::Recipe> recipes)
      : session_(&session), recipes_(std::move(recipes)) {}

  store::ImageReference wanted_parent(std::size_t index) const {
    const auto reference = store::ImageReference::parse(recipes_[index].from);
    return reference ? *reference : store::ImageReference{recipes_[index - 1].name, 0, ""};
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
    plans.push_back(TRY(build.plan()));
    if (!plans.back().is_done()) {
      break;  // what stands on it is known only when it has been built
    }
    built = TRY(build.run()).image;
  }
  return plans;
}

Result<BuildReport> build_image(Session& session, const BuildRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  const Line line = TRY(Line::read(session, request));
  BuildReport report;
  std::optional<store::ImageRecord> built;
  for (std::size_t index = line.first(); index < line.size(); ++index) {
    ImageBuild build = TRY(ImageBuild::prepare(session, request, TRY(line.subject(index, built))));
    BuildReport one = TRY(build.run());
    built = one.image;
    report.image = std::move(one.image);
    report.steps.insert(report.steps.end(), one.steps.begin(), one.steps.end());
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
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
