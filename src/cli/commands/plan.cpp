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
}

int run_plan(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    factory::BuildRequest request = TRY(build_request(parsed));
    request.update = parsed.has("update");
    const auto plans = TRY(factory::plan_image(session, request));
    if (terminal.json()) {
      Json rows = Json::array();
      for (const plan::Plan& plan : plans) {
        rows.push_back(plan.to_json());
      }
      terminal.print_json({{"images", std::move(rows)}});
      return 0;
    }
    terminal.progress().finish();
    for (const plan::Plan& plan : plans) {
      show(plan, terminal);
    }
    if (!plans.back().is_done()) {
      terminal.print_line(
          "Nothing was changed. `goldmill build` runs what is to run; what stands on " +
          plans.back().image + " is planned once it is built.");
    }
    return 0;
  });
}

}  // namespace

Command plan_command() {
  return {.name = "plan",
          .summary = "show what a build would run, and why",
          .description =
              {"Reads a recipe and its ancestors and shows each step of the build: cached, because "
               "it was done before with exactly these inputs, or to be run, with the first input "
               "that differs from the last time and the seconds that it took then.",
               "Changes nothing. Without a lock file the archive's indexes are read to decide on "
               "packages; with one, nothing is read but the recipe, the lock and the catalogue."},
          .arguments = {recipe_argument()},
          .options = {set_option(),
                      {.name = "update", .doc = "Looks for newer packages than the lock's."}},
          .examples = {{"goldmill plan examples/java.yaml", "what building java would do"}},
          .see_also = {"build", "explain"},
          .run = run_plan};
}

}  // namespace goldmill::cli
