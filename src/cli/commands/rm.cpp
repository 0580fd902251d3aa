// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/factory/image_jobs.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

/// An instance or a fleet by name, else an image version, which must be said with its version.
Result<void> remove(factory::Session& session, const std::string& word, bool force, Json& removed) {
  auto names = launch::expand(session.home.root(), word);
  if (!names) {
    const auto reference = store::ImageReference::parse(word);
    if (!reference || reference->version == 0) {
      return std::move(names).error();
    }
    TRY(factory::remove_image(session, TRY(session.catalogue.find_image(*reference))));
    removed.push_back(word);
    return {};
  }
  for (const launch::Instance& instance : TRY(launch::list(session.home.root()))) {
    if (std::find(names->begin(), names->end(), instance.name) == names->end()) {
      continue;
    }
    if (instance.state == launch::State::ready && !force) {
      return Error{ErrorKind::conflict,
                   "instance " + instance.name + " is running",
                   "stop it first (goldmill stop " + instance.name + "), or say --force"};
    }
    TRY(launch::remove(session.home.root(), instance.name));
    removed.push_back(instance.name);
  }
  return {};
}

int run_rm(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    Json removed = Json::array();
    for (const std::string& word : parsed.arguments()) {
      TRY(remove(session, word, parsed.has("force"), removed));
    }
    if (terminal.json()) {
      terminal.print_json({{"removed", removed}});
    } else {
      for (const Json& name : removed) {
        terminal.print_line("removed " + name.get<std::string>());
      }
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
