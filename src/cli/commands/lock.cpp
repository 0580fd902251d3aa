// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/factory/lock_recipe.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

std::string or_dash(const std::string& version) {
  return version.empty() ? "-" : version;
}

void show(const factory::LockReport& report, Terminal& terminal) {
  if (!report.moved.empty()) {
    Table table{{{"package"}, {"was"}, {"is"}}, {}};
    for (const factory::Move& move : report.moved) {
      table.rows.push_back({move.package, or_dash(move.from), or_dash(move.to)});
    }
    terminal.print_table(table);
  }
  terminal.print_line(report.file.string() + ": " + std::to_string(report.packages) +
                      " packages, " + std::to_string(report.moved.size()) + " moved");
}

Result<factory::BuildRequest> lock_request(const Parsed& parsed) {
  factory::BuildRequest request;
  request.recipes = {recipe_file(parsed.argument(0))};
  request.set = TRY(parsed.pairs("set"));
  request.os = parsed.value("os").value_or("");
  request.update = parsed.has("update");
  request.update_only = {parsed.arguments().begin() + 1, parsed.arguments().end()};
  if (!request.update_only.empty() && !request.update) {
    return Error{ErrorKind::invalid_input,
                 "packages are named, but nothing is to move",
                 "add --update to move them forward"};
  }
  return request;
}

int run_lock(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const factory::LockReport report =
        TRY(factory::lock_recipe(session, TRY(lock_request(parsed))));
    terminal.progress().finish();
    if (terminal.json()) {
      terminal.print_json(report.to_json());
    } else {
      show(report, terminal);
    }
    return 0;
  });
}

}  // namespace

Command lock_command() {
  return {
      .name = "lock",
      .summary = "decide on a recipe's packages without building",
      .description =
          {"Writes NAME.lock beside the recipe, which pins each package by version and SHA-256, "
           "and prints what moved. A lock that says what the recipe needs stays as it is.",
           "--update moves forward to what the archive has now: all packages, or only the named "
           "ones with what they need. Accounts keep their ids. The images that the recipe stands "
           "on must be up to date; build afterwards to have an image of it."},
      .arguments = {recipe_argument(),
                    {"PACKAGE",
                     "moves only this one, with --update",
                     Argument::Count::any,
                     Completes::nothing}},
      .options = {set_option(),
                  os_option(),
                  {.name = "update", .doc = "Moves forward to what the archive has now."}},
      .examples = {{"goldmill lock java", "writes java.lock"},
                   {"goldmill lock base --update openssl", "one security fix, and nothing else"}},
      .see_also = {"build", "plan"},
      .run = run_lock};
}

}  // namespace goldmill::cli
