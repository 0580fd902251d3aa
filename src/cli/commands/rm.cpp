// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <optional>
#include <set>

#include <goldmill/factory/image_jobs.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

/// Removes an image by its version, or says how its versions are called.
Result<void> remove_image(factory::Session& session,
                          const std::string& word,
                          const Error& unknown) {
  const auto reference = store::ImageReference::parse(word);
  if (reference && reference->version > 0) {
    return factory::remove_image(session, *reference);
  }
  if (reference) {
    if (const auto newest = session.catalogue.find_image(*reference)) {
      return Error{ErrorKind::not_found,
                   unknown.message,
                   "an image is removed by its version: goldmill rm " + newest->reference()};
    }
  }
  return unknown;
}

/// What became of all that was asked for.
struct Removal {
  std::set<std::string> removed;
  Json failed = Json::array();
  std::optional<Error> first_error;

  void take(const std::string& name, const Result<void>& outcome) {
    if (outcome) {
      removed.insert(name);
      return;
    }
    failed.push_back({{"name", name}, {"error", outcome.error().text()}});
    if (!first_error) {
      first_error = outcome.error();
    }
  }
};

Result<void> check_none_runs(factory::Session& session, const std::vector<std::string>& names) {
  for (const launch::Instance& instance : TRY(launch::list(session.home.root()))) {
    const bool runs =
        instance.state == launch::State::ready || instance.state == launch::State::starting;
    if (runs && std::find(names.begin(), names.end(), instance.name) != names.end()) {
      return Error{ErrorKind::conflict,
                   "instance " + instance.name + " is running",
                   "stop it first (goldmill stop " + instance.name + "), or say --force"};
    }
  }
  return {};
}

/// An instance or a fleet by name, else an image version.
void remove(factory::Session& session, const std::string& word, bool force, Removal& removal) {
  const auto names = launch::expand(session.home.root(), word);
  if (!names) {
    removal.take(word, remove_image(session, word, names.error()));
    return;
  }
  const Result<void> allowed = force ? Result<void>() : check_none_runs(session, *names);
  if (!allowed) {
    removal.take(word, allowed);
    return;
  }
  launch::remove(session.home.root(),
                 *names,
                 [&removal](const std::string& name, const Result<void>& outcome) {
                   removal.take(name, outcome);
                 });
}

int run_rm(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    Removal removal;
    for (const std::string& word : parsed.arguments()) {
      remove(session, word, parsed.has("force"), removal);
    }
    if (terminal.json() && !removal.removed.empty()) {
      terminal.print_json({{"removed", removal.removed}, {"failed", removal.failed}});
      return removal.first_error ? exit_status(removal.first_error->kind) : 0;
    }
    for (const std::string& name : removal.removed) {
      terminal.print_line("removed " + name);
    }
    for (std::size_t i = 1; i < removal.failed.size();
         ++i) {  // the first comes last, with its hint
      terminal.warn(removal.failed[i]["error"].get<std::string>());
    }
    return removal.first_error ? Result<int>(*removal.first_error) : 0;
  });
}

}  // namespace

Command rm_command() {
  return {.name = "rm",
          .summary = "remove instances, or an image version",
          .description = {"Removes instances or whole fleets with all that they left; running ones "
                          "only with --force. NAME@VERSION removes an image that no other image "
                          "stands on and that has no instances."},
          .arguments = {{"NAME",
                         "instances, fleets, or images as NAME@VERSION",
                         Argument::Count::some,
                         Completes::instances}},
          .options = {{.name = "force", .letter = 'f', .doc = "Ends running instances first."}},
          .examples = {{"goldmill rm --force java", "the fleet java"},
                       {"goldmill rm java@1", "an image version"}},
          .see_also = {"stop", "ps", "list"},
          .run = run_rm};
}

}  // namespace goldmill::cli
