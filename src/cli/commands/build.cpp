// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/base/bytes.hpp>
#include <goldmill/factory/build_image.hpp>
#include <goldmill/recipe/load.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

void show(const factory::ImageReport& report, const std::string& disk, Terminal& terminal) {
  const Json json = report.to_json();
  terminal.print_line(report.image.reference() + "  " + report.image.digest.text());
  terminal.print_line("  " + std::to_string(json["packages"].get<std::size_t>()) + " packages, " +
                      to_text(Bytes{json["disk_used_bytes"].get<std::uint64_t>()}) + " used");
  terminal.print_line("  " + disk);
}

/// For one recipe its own image; its ancestors are in the steps.
void show(const factory::BuildReport& report,
          bool one,
          factory::Session& session,
          Terminal& terminal) {
  if (terminal.json()) {
    Json json = report.to_json();
    if (one) {
      json["image"] = report.images.back().to_json();
    } else {
      json["images"] = Json::array();
      for (const factory::ImageReport& image : report.images) {
        json["images"].push_back(image.to_json());
      }
    }
    terminal.print_json(json);
    return;
  }
  std::size_t steps = 0;
  for (const factory::ImageReport& image : report.images) {
    steps += image.steps.size();
    if (!one || &image == &report.images.back()) {
      show(image, session.home.disk(image.image.digest).string(), terminal);
    }
  }
  terminal.print_line("  " + std::to_string(report.steps_run()) + " of " + std::to_string(steps) +
                      " steps ran, " + seconds_text(report.seconds));
}

Result<factory::BuildRequest> builds_request(const Parsed& parsed) {
  factory::BuildRequest request = TRY(build_request(parsed));
  if (parsed.has("all")) {
    if (request.recipes.size() > 1) {
      return Error{ErrorKind::invalid_input, "--all takes one directory, or none for this one"};
    }
    const std::string directory = parsed.arguments().empty() ? "." : parsed.argument(0);
    request.recipes = TRY(recipe::find_recipes(directory));
    if (request.recipes.empty()) {
      return Error{ErrorKind::not_found,
                   "no file of '" + directory + "' is a recipe",
                   "a recipe is a .yaml file that begins with 'recipe: NAME'"};
    }
  }
  if (request.recipes.empty()) {
    return Error{ErrorKind::invalid_input,
                 "no recipe is named",
                 "name the recipes to build, or build --all of a directory"};
  }
  request.update = parsed.has("update");
  request.locked = parsed.has("locked");
  if (request.locked && request.update) {
    return Error{ErrorKind::invalid_input,
                 "--locked resolves nothing, and --update resolves all",
                 "give one of them"};
  }
  request.shell_on_failure = parsed.has("shell-on-failure");
  request.jobs = TRY(parsed.integer("jobs", 1, 256)).value_or(0);
  return request;
}

int run_build(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const factory::BuildRequest request = TRY(builds_request(parsed));
    const factory::BuildReport report = TRY(factory::build_images(session, request));
    terminal.progress().finish();
    show(report, request.recipes.size() == 1 && !parsed.has("all"), session, terminal);
    return 0;
  });
}

}  // namespace

Command build_command() {
  return {
      .name = "build",
      .summary = "build images from their recipes",
      .description =
          {"Builds the recipe, and before it the ancestors that are missing or out of date. A step "
           "that was done before with the same inputs is never done again: after a change, a "
           "failure or a power cut, only what is left is run.",
           "The first build resolves packages and writes NAME.lock beside the recipe; commit it. "
           "Later builds use exactly those packages and touch no network once they are in the "
           "cache. --update looks for newer ones and rewrites the lock.",
           "Several recipes, or --all of a directory, are built parents first; those that do not "
           "stand on each other are built at the same time, and one that fails does not stop the "
           "others. After a new base only the variants' own steps run.",
           "Works as root and as a plain user with subordinate ids, in the same way."},
      .arguments = {{"RECIPE",
                     "a recipe's file, or NAME for NAME.yaml here; with --all, a directory",
                     Argument::Count::any,
                     Completes::files}},
      .options = {set_option(),
                  {.name = "all", .doc = "Builds every recipe of the directory."},
                  {.name = "jobs",
                   .letter = 'j',
                   .value = "N",
                   .doc = "Images built at the same time.",
                   .standard = "as many as cores and memory allow"},
                  {.name = "update", .doc = "Looks for newer packages and rewrites the lock."},
                  {.name = "locked",
                   .doc = "Fails where packages would have to be resolved: for CI."},
                  {.name = "shell-on-failure",
                   .doc = "Opens a shell in the sandbox of a step that failed."}},
      .examples = {{"goldmill build examples/base.yaml", "a base from nothing"},
                   {"goldmill build examples/java.yaml", "a variant; base is not built again"},
                   {"goldmill build --all", "what is out of date here, after a new base too"},
                   {"goldmill build web.yaml --set version=1.2 --json", "for scripts"}},
      .see_also = {"plan", "test", "show"},
      .run = run_build};
}

}  // namespace goldmill::cli
