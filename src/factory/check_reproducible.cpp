// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/build/work.hpp>
#include <goldmill/factory/check_reproducible.hpp>
#include <goldmill/system/file.hpp>

#include "rebuild_worker.hpp"

namespace goldmill::factory {

namespace fs = std::filesystem;

Json ReproducibilityReport::to_json() const {
  Json conditions_json = Json::array();
  for (const Condition& condition : conditions) {
    conditions_json.push_back(
        {{"name", condition.name}, {"first", condition.first}, {"second", condition.second}});
  }
  Json rows = Json::array();
  for (const StepDifference& difference : differences) {
    rows.push_back({{"step", difference.step},
                    {"path", difference.path},
                    {"what", difference.what},
                    {"offset", difference.offset.empty() ? Json() : Json(difference.offset)},
                    {"first", difference.first},
                    {"second", difference.second},
                    {"likely_cause", difference.cause.empty() ? Json() : Json(difference.cause)}});
  }
  return {{"image", image},
          {"identical", is_identical()},
          {"conditions", std::move(conditions_json)},
          {"steps", steps},
          {"differences", std::move(rows)},
          {"omitted", omitted},
          {"seconds", seconds}};
}

namespace {
/// What a worker of this very program says.
ReproducibilityReport report_of(const Json& json) {
  const auto text = [](const Json& row, const char* key) {
    return find_string(row, key).value_or("");
  };
  ReproducibilityReport report;
  report.image = text(json, "image");
  report.steps = find_strings(json, "steps");
  report.omitted = static_cast<std::uint64_t>(find_integer(json, "omitted").value_or(0));
  report.seconds = json.value("seconds", 0.0);
  for (const Json& row : json.value("conditions", Json::array())) {
    report.conditions.push_back({text(row, "name"), text(row, "first"), text(row, "second")});
  }
  for (const Json& row : json.value("differences", Json::array())) {
    report.differences.push_back({text(row, "step"),
                                  text(row, "path"),
                                  text(row, "what"),
                                  text(row, "offset"),
                                  text(row, "first"),
                                  text(row, "second"),
                                  text(row, "likely_cause")});
  }
  return report;
}
}  // namespace

Result<ReproducibilityReport> check_reproducible(Session& session,
                                                 const BuildRequest& request,
                                                 const store::ImageRecord& image) {
  GOLDMILL_ASSERT(request.recipes.size() == 1);
  const auto work = TRY(build::WorkDirectory::make(session.home.root()));
  const fs::path scratch = work.path() / build::kInnerHome;
  TRY(system::make_directories(scratch, 0700));
  const Json report = TRY(system::run_worker(
      {.name = kRebuildWorker,
       .request = {{"home", session.home.root().string()},
                   {"scratch", scratch.string()},
                   {"recipe", fs::absolute(request.recipes.front()).string()},
                   {"set", request.set},
                   {"os", request.os},
                   {"image", image.digest.text()}},
       .on_event = [&session](const Json& event) { pass_on(event, session.observer); },
       .is_cancelled = [&session] { return session.observer.is_cancelled(); }}));
  return report_of(report);
}

}  // namespace goldmill::factory
