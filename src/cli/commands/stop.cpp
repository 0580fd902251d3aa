// SPDX-License-Identifier: GPL-3.0-or-later
#include <set>

#include <goldmill/launch/launch.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

int run_stop(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const std::chrono::seconds limit(TRY(parsed.integer("time", 0, 86400)).value_or(90));
    const std::set<std::string> names = TRY(instances_of(session, parsed));
    std::set<std::string> stopped;
    Json failed = Json::array();
    launch::stop(
        session.home.root(),
        {names.begin(), names.end()},
        limit,
        [&](const std::string& name, const Result<void>& outcome) {
          terminal.progress().log(name + (outcome ? ": stopped" : ": " + outcome.error().text()));
          if (outcome) {
            stopped.insert(name);
          } else {
            failed.push_back({{"name", name}, {"error", outcome.error().text()}});
          }
        });
    const int status = failed.empty() ? 0 : 1;
    if (terminal.json()) {
      terminal.print_json({{"stopped", stopped}, {"failed", std::move(failed)}});
    }
    return status;
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
      .exit_statuses = {{1, "an instance could not be stopped"}},
      .see_also = {"ps", "start", "rm"},
      .run = run_stop};
}

}  // namespace goldmill::cli
