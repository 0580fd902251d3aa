// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/base/bytes.hpp>
#include <goldmill/factory/keep_packages.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

std::string changes_text(const factory::KeptRecipe& kept) {
  std::string text =
      kept.kept.added > 0 ? std::to_string(kept.kept.added) + " added" : "nothing to add";
  if (!kept.kept.repaired.empty()) {
    text += ", " + std::to_string(kept.kept.repaired.size()) + " damaged and replaced";
  }
  if (kept.pruned > 0) {
    text += ", " + std::to_string(kept.pruned) + " removed";
  }
  return text;
}

void show(const std::vector<factory::KeptRecipe>& recipes, Terminal& terminal) {
  for (const factory::KeptRecipe& kept : recipes) {
    terminal.print_line(kept.directory.string() + ": " + std::to_string(kept.kept.packages) +
                        " packages, " + to_text(kept.kept.size) + "; " + changes_text(kept));
    if (!kept.kept.not_wanted.empty()) {
      terminal.note(kept.directory.string() + " holds " +
                    std::to_string(kept.kept.not_wanted.size()) +
                    " packages that the lock does not name; --prune removes them");
    }
  }
}

int run_keep_packages(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const factory::BuildRequest build = TRY(build_request(parsed));
    factory::KeepRequest request;
    request.recipes = build.recipes;
    request.os = build.os;
    request.to = parsed.value("to").value_or("");
    request.only_own = parsed.has("own");
    request.prune = parsed.has("prune");
    const auto kept = TRY(factory::keep_packages(session, request));
    terminal.progress().finish();
    if (terminal.json()) {
      Json rows = Json::array();
      for (const factory::KeptRecipe& recipe : kept) {
        rows.push_back(recipe.to_json());
      }
      terminal.print_json({{"recipes", std::move(rows)}});
    } else {
      show(kept, terminal);
    }
    return 0;
  });
}

}  // namespace

Command keep_packages_command() {
  return {
      .name = "keep-packages",
      .summary = "keep the locked packages beside the lock",
      .description =
          {"Archives drop old versions. This puts every package that a lock names, the boot "
           "loader's too, into NAME.packages beside the lock, each under its SHA-256, verified. "
           "From then on a build takes them from there before it asks an archive: with the lock it "
           "needs no archive, no index and no keyring any more.",
           "A build of a variant needs its ancestors' packages too, so they are kept as well, each "
           "beside its own lock. A file that is damaged is named, never used, and fetched again. "
           "Files are linked to the cache where they can be, and take no space twice then.",
           "With --to the directories are made elsewhere, say for a disk that is put away; a build "
           "finds them when they, or links to them, stand beside the locks."},
      .arguments = {{"RECIPE",
                     "a recipe's file, or NAME for NAME.yaml here",
                     Argument::Count::some,
                     Completes::files}},
      .options = {os_option(),
                  {.name = "to",
                   .value = "DIRECTORY",
                   .doc = "Makes NAME.packages in this directory.",
                   .standard = "beside the lock",
                   .completes = Completes::directories},
                  {.name = "own", .doc = "Keeps the recipe's own packages, not its ancestors'."},
                  {.name = "prune", .doc = "Removes packages that the lock names no longer."}},
      .examples = {{"goldmill keep-packages java", "java.packages, and base.packages"},
                   {"goldmill keep-packages base --prune", "after base was locked anew"}},
      .see_also = {"build", "lock", "gc"},
      .run = run_keep_packages};
}

}  // namespace goldmill::cli
