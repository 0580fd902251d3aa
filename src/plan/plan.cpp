// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/plan/difference.hpp>
#include <goldmill/plan/package_door.hpp>
#include <goldmill/plan/plan.hpp>

namespace goldmill::plan {

namespace {

const char* name_of(Produces produces) {
  switch (produces) {
    case Produces::assets:
      return "assets";
    case Produces::tools:
      return "tools";
    case Produces::layer:
      break;
  }
  return "layer";
}

}  // namespace

Json describe(const Step& step, const std::vector<Digest>& parent_layers) {
  Json parents = Json::array();
  for (const Digest& layer : parent_layers) {
    parents.push_back(layer.text());
  }
  return {{"kind", step.kind},
          {"kind_version", step.kind_version},
          {"options", step.options},
          {"inputs", step.inputs},
          {"network", step.network},
          {"produces", name_of(step.produces)},
          {"parents", std::move(parents)}};
}

Json record_of(const Step& step, const std::vector<Digest>& parent_layers) {
  Json record = describe(step, parent_layers);
  if (!step.contents.empty()) {
    record[kContents] = step.contents;
  }
  return record;
}

Step with_packages(Step step, const Json& packages) {
  Json discovered = Json::array();
  for (const Json& package : packages.is_array() ? packages : Json::array()) {
    Json entry = Json::object();
    for (const char* key : {"name", "version", "architecture", "sha256"}) {
      entry[key] = find_string(package, key).value_or("");
    }
    discovered.push_back(std::move(entry));
  }
  if (!discovered.empty()) {
    step.options["discovered"] = std::move(discovered);
  }
  return step;
}

Digest declaration_of(const Step& step) {
  Step bare = step;
  bare.options.erase("discovered");
  bare.inputs.erase("epoch");
  return key_of(bare, {});
}

std::vector<Digest> parents_of(const Step& step, const std::vector<Digest>& layers) {
  return step.produces == Produces::layer ? layers : std::vector<Digest>();
}

namespace {

/// Reading a record may cost a millisecond, and what is older was likely given up.
constexpr int kMostCompared = 16;

/// Goes through the steps in order, and knows what the next one would stand on.
class Planner {
 public:
  Planner(const std::string& image, const Parent& parent, History& history)
      : image_(image), parent_(parent), history_(history), layers_(parent.layers) {}

  Result<PlannedStep> decide(Step step) {
    PlannedStep planned{std::move(step), std::nullopt, std::nullopt, "", std::nullopt};
    const bool is_layer = planned.step.produces == Produces::layer;
    if (is_layer && !runs_before_.empty()) {
      planned.reason = runs_before_ + " runs before it";
      TRY(expect_newest(planned));
    } else {
      TRY(look_up(planned));
    }
    if (is_layer && planned.done && planned.done->layer) {
      layers_.push_back(*planned.done->layer);
    } else if (is_layer && runs_before_.empty()) {
      runs_before_ = planned.step.name;
    }
    return planned;
  }

 private:
  /// What it will stand on is unknown, and so is what it differs from.
  Result<void> expect_newest(PlannedStep& planned) {
    const auto earlier = TRY(history_.earlier(image_, planned.step.name, 1));
    if (!earlier.empty()) {
      planned.expected_seconds = earlier.front().seconds;
    }
    return {};
  }

  /// Whether it was done on these layers, else why it runs: what differs from the nearest earlier.
  Result<void> look_up(PlannedStep& planned) {
    const std::vector<Digest> parents = parents_of(planned.step, layers_);
    planned.key = key_of(planned.step, parents);
    planned.done = TRY(history_.find(*planned.key));
    if (planned.done) {
      planned.expected_seconds = planned.done->seconds;
      planned.step.manner.clear();
      return {};
    }
    const Json record = record_of(planned.step, parents);
    auto earlier = TRY(history_.earlier(image_, planned.step.name, kMostCompared));
    if (earlier.empty()) {
      earlier = TRY(history_.earlier_at(image_, record, kMostCompared));
    }
    if (earlier.empty()) {
      planned.reason = "new";
      return {};
    }
    const DoneStep& before = nearest(earlier, record);
    const std::string difference = first_difference(before.record, record, parent_);
    planned.reason = difference.empty() ? "its result is gone" : difference;
    planned.expected_seconds = before.seconds;
    return {};
  }

  const std::string& image_;
  const Parent& parent_;
  History& history_;
  std::vector<Digest> layers_;
  std::string runs_before_;
};

}  // namespace

Result<Plan> make_plan(const std::string& image,
                       std::vector<Step> steps,
                       const Parent& parent,
                       History& history) {
  Plan plan{image, parent.layers, {}};
  Planner planner(image, parent, history);
  for (Step& step : steps) {
    plan.steps.push_back(TRY(planner.decide(std::move(step))));
  }
  return plan;
}

bool Plan::is_done() const {
  return std::all_of(steps.begin(), steps.end(), [](const PlannedStep& planned) {
    return planned.done.has_value();
  });
}

Json Plan::to_json() const {
  Json rows = Json::array();
  for (const PlannedStep& planned : steps) {
    rows.push_back({{"name", planned.step.name},
                    {"kind", planned.step.kind},
                    {"key", planned.key ? Json(planned.key->text()) : Json()},
                    {"result", planned.done ? "cached" : "runs"},
                    {"reason", planned.reason.empty() ? Json() : Json(planned.reason)},
                    {"manner", planned.step.manner.empty() ? Json() : Json(planned.step.manner)},
                    {"expected_seconds",
                     planned.expected_seconds ? Json(*planned.expected_seconds) : Json()}});
  }
  return {{"image", image}, {"steps", std::move(rows)}};
}

}  // namespace goldmill::plan
