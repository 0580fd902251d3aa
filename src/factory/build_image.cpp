// SPDX-License-Identifier: GPL-3.0-or-later

#include <algorithm>

#include <goldmill/factory/build_image.hpp>

#include "image_build.hpp"
#include "lineages.hpp"
#include "parallel_build.hpp"
#include "stopwatch.hpp"

namespace goldmill::factory {

Result<std::vector<plan::Plan>> plan_image(Session& session, const BuildRequest& request) {
  const Lineages lineages = TRY(Lineages::read(request));
  std::vector<plan::Plan> plans;
  std::optional<store::ImageRecord> built;
  for (const Lineages::Member& member : lineages.members()) {
    auto subject = subject_of(session, member.own, built);
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

Result<BuildReport> build_images(Session& session, const BuildRequest& request) {
  const Stopwatch stopwatch;
  const Lineages lineages = TRY(Lineages::read(request));
  TRY(lineages.check_possible());
  BuildReport report;
  report.images = TRY(ParallelBuild(session, request, lineages).run());
  report.seconds = stopwatch.seconds();
  return report;
}

std::size_t BuildReport::steps_run() const {
  std::size_t count = 0;
  for (const ImageReport& image : images) {
    count += static_cast<std::size_t>(std::count_if(
        image.steps.begin(), image.steps.end(), [](const StepReport& step) { return step.ran; }));
  }
  return count;
}

Json ImageReport::to_json() const {
  const Json* packages = find_value(image.details, "packages");
  return {{"name", image.name},
          {"version", image.version},
          {"digest", image.digest.text()},
          {"disk_digest", image.disk_digest.text()},
          {"packages", packages == nullptr ? 0 : packages->size()},
          {"disk_used_bytes", find_integer(image.details, "disk_used_bytes").value_or(0)}};
}

Json BuildReport::to_json() const {
  Json rows = Json::array();
  for (const ImageReport& image : images) {
    for (const StepReport& step : image.steps) {
      rows.push_back({{"image", image.image.name},
                      {"name", step.name},
                      {"key", step.key},
                      {"result", step.ran ? "ran" : "cached"},
                      {"seconds", step.seconds}});
    }
  }
  return {{"steps", std::move(rows)}, {"seconds", seconds}};
}

}  // namespace goldmill::factory
