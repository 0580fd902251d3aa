// SPDX-License-Identifier: GPL-3.0-or-later
#include <map>
#include <set>

#include <goldmill/launch/launch.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

/// A row of the answer: one that could not be started has a reason instead of a state.
Json row_of(const std::string& name, const Result<launch::Instance>& outcome) {
  return outcome ? launch::to_json(*outcome)
                 : Json{{"name", name}, {"state", nullptr}, {"error", outcome.error().text()}};
}

std::string words_for(const Result<launch::Instance>& outcome) {
  if (!outcome) {
    return outcome.error().text();
  }
  std::string words = launch::name_of(outcome->state);
  if (!outcome->error.empty()) {
    words += ": " + outcome->error;
  }
  for (const std::string& warning : outcome->warnings) {
    words += "; " + warning;
  }
  return words;
}

int run_start(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const auto parallel = static_cast<int>(TRY(parsed.integer("parallel", 1, 1000)).value_or(0));
    // What only seems to run, as after a crash, is seen to be stopped first.
    TRY(launch::list(session.home.root()));
    const std::set<std::string> names = TRY(instances_of(session, parsed));
    std::map<std::string, Json> rows;
    bool failed = false;
    launch::start(session.home.root(),
                  {names.begin(), names.end()},
                  parallel,
                  [&](const std::string& name, const Result<launch::Instance>& outcome) {
                    terminal.progress().log(name + ": " + words_for(outcome));
                    failed |= !outcome || outcome->state == launch::State::failed;
                    rows.emplace(name, row_of(name, outcome));
                  });
    if (terminal.json()) {
      Json started = Json::array();
      for (auto& [name, row] : rows) {
        started.push_back(std::move(row));
      }
      terminal.print_json({{"instances", std::move(started)}});
    }
    return failed ? 1 : 0;
  });
}

}  // namespace

Result<std::set<std::string>> instances_of(factory::Session& session, const Parsed& parsed) {
  std::set<std::string> names;
  for (const std::string& word : parsed.arguments()) {
    const auto found = TRY(launch::expand(session.home.root(), word));
    names.insert(found.begin(), found.end());
  }
  return names;
}

Command start_command() {
  return {
      .name = "start",
      .summary = "start instances that were stopped or only prepared",
      .description =
          {"Starts each instance on its own disk, with the identity that it has, several "
           "at once, and waits until each is ready or has failed. A warm one that was "
           "only prepared goes on from its snapshot; what was stopped or failed boots."},
      .arguments = {{"NAME", "instances or fleets", Argument::Count::some, Completes::instances}},
      .options = {{.name = "parallel",
                   .value = "N",
                   .doc = "How many start at once.",
                   .standard = "twice the processors"}},
      .examples = {{"goldmill start java-001", ""}},
      .exit_statuses = {{1, "an instance failed"}},
      .see_also = {"launch", "stop", "ps"},
      .run = run_start};
}

}  // namespace goldmill::cli
