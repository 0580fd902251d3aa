// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/factory/build_image.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

void show(const plan::Plan& plan, Terminal& terminal) {
  Table table{{{plan.image}, {"result"}, {"why"}, {"expected", Table::Align::right}}, {}};
  for (const plan::PlannedStep& planned : plan.steps) {
    table.rows.push_back(
        {planned.step.name,
         planned.done ? "cached" : "runs",
         planned.reason,
         planned.expected_seconds && !planned.done ? seconds_text(*planned.expected_seconds) : ""});
  }
  terminal.print_table(table);
  for (const plan::PlannedStep& planned : plan.steps) {
    if (!planned.step.manner.empty()) {
      terminal.print_line(planned.step.name + " of " + plan.image + ": " + planned.step.manner);
    }
  }
}

void show(const factory::WaitingImage& waiting, Terminal& terminal) {
  std::string steps;
  for (const auto& [name, seconds] : waiting.steps) {
    steps += (steps.empty() ? "" : ", ") + name;
  }
  terminal.print_line(waiting.image + " waits for " + waiting.parent +
                      (steps.empty() ? ", and was not built yet"
                                     : ": then its own steps run again, last time in " +
                                           seconds_text(waiting.seconds()) + " (" + steps + ")"));
}

int run_plan(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    factory::BuildRequest request = TRY(recipes_request(parsed));
    request.update = parsed.has("update");
    const factory::BuildPlan plans = TRY(factory::plan_images(session, request));
    terminal.progress().finish();
    if (terminal.json()) {
      terminal.print_json(plans.to_json());
      return 0;
    }
    for (const plan::Plan& plan : plans.images) {
      show(plan, terminal);
    }
    for (const factory::WaitingImage& waiting : plans.waiting) {
      show(waiting, terminal);
    }
    for (const auto& [image, part] : plans.parts) {
      terminal.print_line(image + " has " + part.file +
                          (part.enforced ? ", enforced by " : ", included at ") +
                          part.included.text());
    }
    terminal.print_line(plans.is_done() ? "Everything is built."
                                        : "Nothing was changed; `goldmill build` runs it.");
    return 0;
  });
}

}  // namespace

Command plan_command() {
  return {
      .name = "plan",
      .summary = "show what a build would run, and why",
      .description =
          {"Reads recipes and their ancestors and shows each step of the build: cached, because "
           "it was done before with exactly these inputs, or to be run, with the first input "
           "that differs from the nearest earlier run and the seconds that it took then. Of "
           "packages it says who unpacks them: goldmill, or the image's own dpkg.",
           "Changes nothing. Without a lock file the archive's indexes are read to decide on "
           "packages; with one, nothing is read but the recipe, the lock and the catalogue."},
      .arguments = {recipes_argument()},
      .options = {all_option(),
                  set_option(),
                  os_option(),
                  {.name = "update", .doc = "Looks for newer packages than the lock's."}},
      .examples = {{"goldmill plan examples/java.yaml", "what building java would do"},
                   {"goldmill plan --all", "of every recipe here"}},
      .see_also = {"build", "explain"},
      .run = run_plan};
}

}  // namespace goldmill::cli
