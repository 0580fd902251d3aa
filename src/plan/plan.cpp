// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/plan/package_door.hpp>
#include <goldmill/plan/plan.hpp>

namespace goldmill::plan {

namespace {

std::string brief(const Json& value) {
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.starts_with("sha256:")) {
    return text.substr(0, 7 + 12);
  }
  constexpr std::size_t kLongest = 60;
  return text.size() > kLongest ? text.substr(0, kLongest) + "..." : text;
}

/// A list of objects with names (packages) or paths (files) is compared by these, not by place.
std::string identity_of(const Json& entry) {
  if (const auto name = find_string(entry, "name")) {
    const auto architecture = find_string(entry, "architecture");
    return *name + (architecture ? ":" + *architecture : "");
  }
  const auto path = find_string(entry, "path");
  return path ? *path : find_string(entry, "target").value_or("");
}

bool is_file(const Json& entry) {
  return !find_string(entry, "name");
}

std::string essence_of(const Json& entry) {
  const auto version = find_string(entry, "version");
  return version ? *version : brief(entry);
}

const Json* find_named(const Json& list, const std::string& name) {
  const auto found = std::find_if(
      list.begin(), list.end(), [&](const Json& entry) { return identity_of(entry) == name; });
  return found == list.end() ? nullptr : &*found;
}

std::string list_difference(const Json& before, const Json& now) {
  for (const Json& entry : now) {
    const std::string name = identity_of(entry);
    if (name.empty()) {
      continue;
    }
    const Json* old = find_named(before, name);
    if (old == nullptr) {
      return name + (is_file(entry) ? "" : " " + essence_of(entry)) + " added";
    }
    if (*old != entry && is_file(entry)) {
      return name + " changed";
    }
    if (*old != entry) {
      return essence_of(*old) == essence_of(entry)
                 ? name + " " + essence_of(entry) + " has other content"
                 : name + " " + essence_of(*old) + " -> " + essence_of(entry);
    }
  }
  for (const Json& entry : before) {
    const std::string name = identity_of(entry);
    if (!name.empty() && find_named(now, name) == nullptr) {
      return name + " removed";
    }
  }
  return "";
}

std::string value_difference(const std::string& name, const Json& before, const Json& now);

/// Packages: which are others says more than what follows from it, such as a later epoch.
bool is_named_list(const Json& value) {
  return value.is_array() && !value.empty() && find_string(value.front(), "name");
}

std::string object_difference(const Json& before, const Json& now) {
  for (const bool named : {true, false}) {
    for (const auto& [name, value] : now.items()) {
      const Json* old = find_value(before, name);
      if (is_named_list(value) != named || (old != nullptr && *old == value)) {
        continue;
      }
      return old == nullptr ? name + " added" : value_difference(name, *old, value);
    }
  }
  for (const auto& [name, value] : before.items()) {
    if (!now.contains(name)) {
      return name + " removed";
    }
  }
  return "";
}

std::string value_difference(const std::string& name, const Json& before, const Json& now) {
  std::string inner;
  if (before.is_array() && now.is_array()) {
    inner = list_difference(before, now);
  } else if (before.is_object() && now.is_object()) {
    inner = object_difference(before, now);
  }
  if (!inner.empty()) {
    return inner;
  }
  const auto is_digest = [](const Json& value) {
    return value.is_string() && value.get_ref<const std::string&>().starts_with("sha256:");
  };
  if (is_digest(before) && is_digest(now)) {
    return name + " changed";  // which content it has says nobody anything
  }
  const std::string old_text = brief(before);
  const std::string new_text = brief(now);
  return old_text == new_text || before.is_structured() ? name + " changed"
                                                        : name + " " + old_text + " -> " + new_text;
}

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

namespace {

/// Says which of the layers below are others: those of the parent, or of steps before this one.
std::string parents_difference(const Json& before, const Parent& parent) {
  const bool stood_on_it =
      before.is_array() && before.size() >= parent.layers.size() &&
      std::equal(parent.layers.begin(),
                 parent.layers.end(),
                 before.begin(),
                 [](const Digest& layer, const Json& old) { return old == Json(layer.text()); });
  const std::string name = parent.reference.substr(0, parent.reference.find('@'));
  return stood_on_it ? "a step before it made another layer" : name + " is now " + parent.reference;
}

}  // namespace

std::string first_difference(const Json& before, const Json& now, const Parent& parent) {
  for (const char* part : {"kind", "options", "inputs", "kind_version", "parents"}) {
    const Json* old = find_value(before, part);
    const Json* current = find_value(now, part);
    if (old == nullptr || current == nullptr || *old == *current) {
      continue;
    }
    if (std::string_view(part) == "kind_version") {
      return "goldmill does this step in a newer way";
    }
    if (std::string_view(part) == "parents") {
      return parents_difference(*old, parent);
    }
    return value_difference(part, *old, *current);
  }
  return "";
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

/// Goes through the steps in order, and knows what the next one would stand on.
class Planner {
 public:
  Planner(const std::string& image, const Parent& parent, History& history)
      : image_(image), parent_(parent), history_(history), layers_(parent.layers) {}

  Result<PlannedStep> decide(Step step) {
    PlannedStep planned{std::move(step), std::nullopt, std::nullopt, "", std::nullopt};
    auto before = TRY(history_.newest(image_, planned.step.name));
    const bool is_layer = planned.step.produces == Produces::layer;
    if (is_layer && !runs_before_.empty()) {
      planned.reason = runs_before_ + " runs before it";
    } else {
      TRY(look_up(planned, before));
    }
    if (is_layer && planned.done && planned.done->layer) {
      layers_.push_back(*planned.done->layer);
    } else if (is_layer && runs_before_.empty()) {
      runs_before_ = planned.step.name;
    }
    if (before) {
      planned.expected_seconds = before->seconds;
    }
    return planned;
  }

 private:
  /// Whether it was done on these layers, else why it runs: what differs from the time before.
  Result<void> look_up(PlannedStep& planned, std::optional<DoneStep>& before) {
    const std::vector<Digest> parents = parents_of(planned.step, layers_);
    planned.key = key_of(planned.step, parents);
    planned.done = TRY(history_.find(*planned.key));
    if (planned.done) {
      planned.step.manner.clear();
      return {};
    }
    const Json description = describe(planned.step, parents);
    if (!before) {
      before = TRY(history_.newest_at(image_, description));
    }
    planned.reason = before ? reason_of(before->description, description) : "new";
    return {};
  }

  std::string reason_of(const Json& before, const Json& now) const {
    const std::string difference = first_difference(before, now, parent_);
    return difference.empty() ? "its result is gone" : difference;
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
