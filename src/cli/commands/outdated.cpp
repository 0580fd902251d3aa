// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/factory/outdated.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

void show(const factory::OutdatedImage& outdated, Terminal& terminal) {
  terminal.print_line(
      outdated.image + ": " + std::to_string(outdated.upgrades.size() + outdated.tools.size()) +
      " newer packages, " + std::to_string(outdated.security()) + " of them security fixes" +
      (outdated.reaches.empty() ? "" : "; reaches " + comma_list(outdated.reaches)));
  Table table{{{"package"}, {"installed"}, {"available"}, {"why"}}, {}};
  for (const guest::Upgrade& upgrade : outdated.upgrades) {
    table.rows.push_back(
        {upgrade.name, upgrade.installed, upgrade.available, upgrade.security ? "security" : ""});
  }
  for (const auto& [step, upgrade] : outdated.tools) {
    table.rows.push_back({upgrade.name,
                          upgrade.installed,
                          upgrade.available,
                          (upgrade.security ? "security, of the " : "of the ") + step});
  }
  terminal.print_table(table);
}

int run_outdated(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const auto found =
        TRY(factory::find_outdated(session, {parsed.arguments(), parsed.has("offline")}));
    terminal.progress().finish();
    if (terminal.json()) {
      Json rows = Json::array();
      for (const factory::OutdatedImage& outdated : found) {
        rows.push_back(outdated.to_json());
      }
      terminal.print_json({{"images", std::move(rows)}});
      return found.empty() ? 0 : 1;
    }
    for (const factory::OutdatedImage& outdated : found) {
      show(outdated, terminal);
    }
    terminal.print_line(found.empty() ? "Nothing is outdated."
                                      : "`goldmill lock RECIPE --update` moves a recipe forward, "
                                        "`goldmill build --all` what stands on it.");
    return found.empty() ? 0 : 1;
  });
}

}  // namespace

Command outdated_command() {
  return {
      .name = "outdated",
      .summary = "list images whose packages the archive has newer",
      .description =
          {"Reads the archive's indexes and compares them with the packages of images, security "
           "fixes first, and says which images stand on them. An archive that a recipe names under "
           "`repositories:` is asked with the key that the recipe's file names now; where that is "
           "gone, a line says so. Of an image whose parent is looked "
           "at, too, only packages that it does not have from there are listed. Packages that only "
           "steps use, as those of the boot loader, are listed with the step, while the store "
           "knows it. Changes nothing."},
      .arguments =
          {{"IMAGE",
            "NAME or NAME@VERSION; by default the newest of every name, and what these stand on",
            Argument::Count::any,
            Completes::images}},
      .options = {{.name = "offline", .doc = "Compares with the indexes that were read last."}},
      .examples = {{"goldmill outdated", ""}, {"goldmill outdated base --json", "for a timer"}},
      .exit_statuses = {{1, "an image is outdated"}},
      .see_also = {"lock", "build"},
      .run = run_outdated};
}

}  // namespace goldmill::cli
