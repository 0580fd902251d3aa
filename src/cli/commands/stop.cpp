// SPDX-License-Identifier: GPL-3.0-or-later
#include <set>

#include <goldmill/launch/launch.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

int run_stop(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const std::chrono::seconds limit(TRY(parsed.integer("time", 0, 86400)).value_or(90));
    std::set<std::string> names;
    for (const std::string& word : parsed.arguments()) {
      const auto found = TRY(launch::expand(session.home.root(), word));
      names.insert(found.begin(), found.end());
    }
    Json stopped = Json::array();
    Result<void> all;
    launch::stop(
        session.home.root(),
        {names.begin(), names.end()},
        limit,
        [&](const std::string& name, const Result<void>& outcome) {
          terminal.progress().log(name + (outcome ? ": stopped" : ": " + outcome.error().text()));
          if (outcome) {
            stopped.push_back(name);
          } else if (all) {
            all = outcome;
          }
        });
    TRY(std::move(all));
    if (terminal.json()) {
      terminal.print_json({{"stopped", std::move(stopped)}});
    }
    return 0;
  });
}

}  // namespace

Command stop_command() {
  return {
      .name = "stop",
      .summary = "shut instances down in order",
      .description =
          {"Asks each instance to power off, several at once, and ends it when the time has "
           "passed. Its disk and identity stay until `goldmill rm`; `goldmill start` starts it "
           "again."},
      .arguments = {{"NAME", "instances or fleets", Argument::Count::some, Completes::instances}},
      .options = {{.name = "time",
                   .value = "SECONDS",
                   .doc = "How long to wait for each.",
                   .standard = "90"}},
      .examples = {{"goldmill stop java-001", ""}},
      .see_also = {"ps", "start", "rm"},
      .run = run_stop};
}

}  // namespace goldmill::cli
