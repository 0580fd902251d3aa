// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/factory/explanation.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

int run_explain(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    factory::BuildRequest request = TRY(build_request(parsed));
    const Json json = TRY(factory::explain(session, request));
    terminal.progress().finish();
    if (terminal.json()) {
      terminal.print_json(json);
      return 0;
    }
    for (const Json& section : json["sections"]) {
      terminal.print(terminal.styled(section["title"].get<std::string>(), Style::bold) + "\n");
      for (const Json& line : section["lines"]) {
        terminal.print_line("  " + line.get<std::string>());
      }
    }
    return 0;
  });
}

}  // namespace

Command explain_command() {
  return {
      .name = "explain",
      .summary = "say what a recipe means: what holds, and by which rules",
      .description = {"Says in words what holds for instances of a recipe with everything that it "
                      "inherits: its baseline, each rule of its security policy with the "
                      "reason and the source, its disk, and what `goldmill test` will check."},
      .arguments = {recipe_argument()},
      .options = {set_option(), os_option()},
      .examples = {{"goldmill explain examples/java.yaml", ""}},
      .see_also = {"plan", "show"},
      .run = run_explain};
}

}  // namespace goldmill::cli
