// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/launch/launch.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

int run_start(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    Json started = Json::array();
    bool failed = false;
    for (const std::string& word : parsed.arguments()) {
      for (const std::string& name : TRY(launch::expand(session.home.root(), word))) {
        const launch::Instance instance = TRY(launch::start(session.home.root(), name));
        terminal.progress().log(name + ": " + launch::name_of(instance.state) +
                                (instance.error.empty() ? "" : ": " + instance.error));
        failed |= instance.state == launch::State::failed;
        started.push_back(launch::to_json(instance));
      }
    }
    if (terminal.json()) {
      terminal.print_json({{"instances", std::move(started)}});
    }
    return failed ? 1 : 0;
  });
}

}  // namespace

Command start_command() {
  return {
      .name = "start",
      .summary = "start instances that were stopped or only prepared",
      .description = {"Starts each instance on its own disk, with the identity that it has, and "
                      "waits until it is ready or has failed."},
      .arguments = {{"NAME", "instances or fleets", Argument::Count::some, Completes::instances}},
      .examples = {{"goldmill start java-001", ""}},
      .exit_statuses = {{1, "an instance failed"}},
      .see_also = {"launch", "stop", "ps"},
      .run = run_start};
}

}  // namespace goldmill::cli
