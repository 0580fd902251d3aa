// SPDX-License-Identifier: GPL-3.0-or-later
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
    return factory::remove_image(session, TRY(session.catalogue.find_image(*reference)));
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

/// An instance or a fleet by name, else an image version.
Result<void> remove(factory::Session& session, const std::string& word, bool force, Json& removed) {
  const auto names = launch::expand(session.home.root(), word);
  if (!names) {
    TRY(remove_image(session, word, names.error()));
    removed.push_back(word);
    return {};
  }
  const auto instances = TRY(launch::list(session.home.root()));
  for (const launch::Instance& instance : instances) {
    const bool runs =
        instance.state == launch::State::ready || instance.state == launch::State::starting;
    if (runs && !force && std::find(names->begin(), names->end(), instance.name) != names->end()) {
      return Error{ErrorKind::conflict,
                   "instance " + instance.name + " is running",
                   "stop it first (goldmill stop " + instance.name + "), or say --force"};
    }
  }
  Result<void> first_failure;
  std::set<std::string> gone;
  launch::remove(
      session.home.root(), *names, [&](const std::string& name, const Result<void>& outcome) {
        if (outcome) {
          gone.insert(name);
        } else if (first_failure) {
          first_failure = outcome.error();
        }
      });
  for (const std::string& name : gone) {  // by name, whichever went first
    removed.push_back(name);
  }
  return first_failure;
}

int run_rm(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    Json removed = Json::array();
    Result<void> outcome;
    for (const std::string& word : parsed.arguments()) {
      const auto gone = remove(session, word, parsed.has("force"), removed);
      if (!gone && !outcome) {  // the first is told at the end, the others as they come
        terminal.warn(gone.error().text());
      } else if (!gone) {
        outcome = gone;
      }
    }
    if (!terminal.json()) {  // also what went before a failure
      for (const Json& name : removed) {
        terminal.print_line("removed " + name.get<std::string>());
      }
    }
    TRY(outcome);
    if (terminal.json()) {
      terminal.print_json({{"removed", removed}});
    }
    return 0;
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
