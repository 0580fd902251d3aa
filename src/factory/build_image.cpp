// SPDX-License-Identifier: GPL-3.0-or-later

#include <algorithm>

#include <goldmill/factory/build_image.hpp>

#include "image_build.hpp"
#include "lineages.hpp"
#include "parallel_build.hpp"
#include "stopwatch.hpp"

namespace goldmill::factory {

namespace {
Result<WaitingImage> waiting_image(Session& session,
                                   const std::string& name,
                                   const std::string& parent) {
  WaitingImage waiting{name, parent, {}};
  const auto newest = session.catalogue.find_image({name, 0, ""});
  if (!newest) {
    const ErrorKind kind = newest.error().kind;  // a damaged row is written anew by a build
    return kind == ErrorKind::not_found || kind == ErrorKind::corrupt
               ? Result<WaitingImage>(waiting)
               : Result<WaitingImage>(newest.error());
  }
  const auto seconds_at = [](const Json& object, const char* key) {
    const Json* found = find_value(object, key);
    return found != nullptr && found->is_number() ? found->get<double>() : 0.0;
  };
  const Json* steps = find_value(newest->details, "steps");
  for (const Json& step : steps == nullptr ? Json::array() : *steps) {
    waiting.steps.emplace_back(find_string(step, "name").value_or(""), seconds_at(step, "seconds"));
  }
  waiting.steps.emplace_back("disk", seconds_at(newest->details, "disk_seconds"));
  return waiting;
}
}  // namespace

double WaitingImage::seconds() const {
  double sum = 0;
  for (const auto& [name, seconds] : steps) {
    sum += seconds;
  }
  return sum;
}

Result<BuildPlan> plan_images(Session& session, const BuildRequest& request) {
  const Lineages lineages = TRY(Lineages::read(request));
  BuildPlan plans;
  std::vector<std::optional<store::ImageRecord>> finished;  // of each member
  for (const Lineages::Member& member : lineages.members()) {
    for (const recipe::PartUse& part : member.own.parts) {
      plans.parts.emplace_back(member.own.name, part);
    }
    const auto parent = member.parent ? finished[*member.parent] : std::nullopt;
    finished.emplace_back();
    if (member.parent && !parent) {
      plans.waiting.push_back(TRY(
          waiting_image(session, member.own.name, lineages.members()[*member.parent].own.name)));
      continue;
    }
    auto subject = subject_of(session, member.own, parent);
    if (!subject) {
      return std::move(subject).error();
    }
    ImageBuild build = TRY(ImageBuild::prepare(session, request, *std::move(subject)));
    plan::Plan plan = TRY(build.plan());
    finished.back() = plan.is_done() ? TRY(build.find_finished(plan)) : std::nullopt;
    plan.steps.push_back(build.plan_disk(plan, finished.back()));
    plans.images.push_back(std::move(plan));
  }
  return plans;
}

bool BuildPlan::is_done() const {
  return waiting.empty() && std::all_of(images.begin(), images.end(), [](const plan::Plan& plan) {
           return plan.is_done();
         });
}

Json BuildPlan::to_json() const {
  Json plans = Json::array();
  for (const plan::Plan& plan : images) {
    plans.push_back(plan.to_json());
  }
  Json later = Json::array();
  for (const WaitingImage& image : waiting) {
    Json steps = Json::array();
    for (const auto& [name, seconds] : image.steps) {
      steps.push_back({{"name", name}, {"expected_seconds", seconds}});
    }
    later.push_back({{"image", image.image}, {"for", image.parent}, {"steps", std::move(steps)}});
  }
  Json brought_in = Json::array();
  for (const auto& [image, part] : parts) {
    brought_in.push_back({{"image", image},
                          {"part", part.name},
                          {"file", part.file},
                          {"included", part.included.text()},
                          {"enforced", part.enforced}});
  }
  return {{"images", std::move(plans)},
          {"waiting", std::move(later)},
          {"parts", std::move(brought_in)}};
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
