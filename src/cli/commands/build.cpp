// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/base/bytes.hpp>
#include <goldmill/factory/build_image.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

void show(const factory::BuildReport& report, const std::string& disk, Terminal& terminal) {
  std::size_t ran = 0;
  for (const factory::StepReport& step : report.steps) {
    ran += step.ran ? 1 : 0;
  }
  const Json json = report.to_json();
  terminal.print_line(report.image.reference() + "  " + report.image.digest.text());
  terminal.print_line("  " + std::to_string(ran) + " of " + std::to_string(report.steps.size()) +
                      " steps ran, " + seconds_text(report.seconds) + "; " +
                      std::to_string(json["image"]["packages"].get<std::size_t>()) + " packages, " +
                      to_text(Bytes{json["image"]["disk_used_bytes"].get<std::uint64_t>()}) +
                      " used");
  terminal.print_line("  " + disk);
}

int run_build(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    factory::BuildRequest request = TRY(build_request(parsed));
    request.update = parsed.has("update");
    request.shell_on_failure = parsed.has("shell-on-failure");
    const factory::BuildReport report = TRY(factory::build_image(session, request));
    terminal.progress().finish();
    if (terminal.json()) {
      terminal.print_json(report.to_json());
    } else {
      show(report, session.home.disk(report.image.digest).string(), terminal);
    }
    return 0;
  });
}

}  // namespace

Command build_command() {
  return {
      .name = "build",
      .summary = "build an image from a recipe",
      .description =
          {"Builds the recipe, and before it the ancestors that are missing or out of date. A step "
           "that was done before with the same inputs is never done again: after a change, a "
           "failure or a power cut, only what is left is run.",
           "The first build resolves packages and writes NAME.lock beside the recipe; commit it. "
           "Later builds use exactly those packages and touch no network once they are in the "
           "cache. --update looks for newer ones and rewrites the lock.",
           "Works as root and as a plain user with subordinate ids, in the same way."},
      .arguments = {recipe_argument()},
      .options = {set_option(),
                  {.name = "update", .doc = "Looks for newer packages and rewrites the lock."},
                  {.name = "shell-on-failure",
                   .doc = "Opens a shell in the sandbox of a step that failed."}},
      .examples = {{"goldmill build examples/base.yaml", "a base from nothing"},
                   {"goldmill build examples/java.yaml", "a variant; base is not built again"},
                   {"goldmill build web.yaml --set version=1.2 --json", "for scripts"}},
      .see_also = {"plan", "test", "show"},
      .run = run_build};
}

}  // namespace goldmill::cli
