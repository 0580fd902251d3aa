// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/base/bytes.hpp>
#include <goldmill/base/utf8.hpp>
#include <goldmill/factory/build_image.hpp>
#include <goldmill/factory/check_reproducible.hpp>

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
Json json_of(const factory::BuildReport& report, bool one) {
  Json json = report.to_json();
  if (one) {
    json["image"] = report.images.back().to_json();
    return json;
  }
  json["images"] = Json::array();
  for (const factory::ImageReport& image : report.images) {
    json["images"].push_back(image.to_json());
  }
  return json;
}

void show(const factory::BuildReport& report,
          bool one,
          factory::Session& session,
          Terminal& terminal) {
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

void show(const factory::StepDifference& difference, Terminal& terminal) {
  const std::string at = difference.offset.empty() ? "" : " at byte " + difference.offset;
  terminal.print_line("  " + difference.path + "  " + difference.what + at);
  terminal.print_line("    first   " + (difference.first.empty() ? "not there" : difference.first));
  terminal.print_line("    again   " +
                      (difference.second.empty() ? "not there" : difference.second));
  if (!difference.cause.empty()) {
    terminal.print_line("    likely  " + difference.cause);
  }
}

/// Below the name of its step each.
void show(const std::vector<factory::StepDifference>& differences, Terminal& terminal) {
  std::string step;
  for (const factory::StepDifference& difference : differences) {
    if (difference.step != step) {
      step = difference.step;
      terminal.print_line("");
      terminal.print(terminal.styled(escape_controls(step), Style::bold) + "\n");
    }
    show(difference, terminal);
  }
}

void show(const factory::ReproducibilityReport& report, Terminal& terminal) {
  Table table{{{"built in"}, {"first"}, {"again"}}, {}};
  for (const factory::Condition& condition : report.conditions) {
    table.rows.push_back({condition.name,
                          condition.first,
                          condition.differs() ? condition.second : "the same, it stays here"});
  }
  terminal.print_line("");
  terminal.print_table(table);
  show(report.differences, terminal);
  if (report.omitted > 0) {
    terminal.print_line("and " + std::to_string(report.omitted) + " more paths");
  }
  terminal.print_line(report.image +
                      (report.is_identical() ? " is reproducible: the same bytes in all " +
                                                   std::to_string(report.steps.size()) + " steps"
                                             : " is NOT reproducible") +
                      ", " + seconds_text(report.seconds));
}

Result<factory::BuildRequest> builds_request(const Parsed& parsed) {
  factory::BuildRequest request = TRY(recipes_request(parsed));
  request.update = parsed.has("update");
  request.locked = parsed.has("locked");
  request.same_files = request.locked;
  if (request.locked && request.update) {
    return Error{ErrorKind::invalid_input,
                 "--locked resolves nothing, and --update resolves all",
                 "give one of them"};
  }
  if (parsed.has("check-reproducible") && (request.recipes.size() > 1 || parsed.has("all"))) {
    return Error{ErrorKind::invalid_input,
                 "--check-reproducible builds one recipe again",
                 "name one; its ancestors are checked by themselves"};
  }
  request.shell_on_failure = parsed.has("shell-on-failure");
  request.jobs = TRY(parsed.integer("jobs", 1, 256)).value_or(0);
  return request;
}

int run_build(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const factory::BuildRequest request = TRY(builds_request(parsed));
    const factory::BuildReport report = TRY(factory::build_images(session, request));
    std::optional<factory::ReproducibilityReport> check;
    if (parsed.has("check-reproducible")) {
      check = TRY(factory::check_reproducible(session, request, report.images.back().image));
    }
    terminal.progress().finish();
    const bool one = request.recipes.size() == 1 && !parsed.has("all");
    if (terminal.json()) {
      Json json = json_of(report, one);
      if (check) {
        json["reproducible"] = check->to_json();
      }
      terminal.print_json(json);
    } else {
      show(report, one, session, terminal);
      if (check) {
        show(*check, terminal);
      }
    }
    return check && !check->is_identical() ? 1 : 0;
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
           "failure or a power cut, only what is left is run. Works as root and as a plain user "
           "with subordinate ids, in the same way.",
           "The first build resolves packages and writes NAME.lock beside the recipe; commit it. "
           "Later builds use exactly those packages and touch no network once they are in the "
           "cache, or kept by keep-packages. --update looks for newer ones and rewrites the lock.",
           "Several recipes, or --all of a directory, are built parents first; those that do not "
           "stand on each other are built at the same time, and one that fails does not stop the "
           "others. After a new base only the variants' own steps run.",
           "--check-reproducible builds the recipe's own image again from the lock, with another "
           "clock, host name, time zone, locale, umask, order of directories and one core, and "
           "names step, file, offset and likely cause where bytes differ. Nothing of it stays."},
      .arguments = {recipes_argument()},
      .options = {set_option(),
                  os_option(),
                  all_option(),
                  {.name = "jobs",
                   .letter = 'j',
                   .value = "N",
                   .doc = "Images built at the same time.",
                   .standard = "as many as cores and memory allow"},
                  {.name = "update", .doc = "Looks for newer packages and rewrites the lock."},
                  {.name = "locked",
                   .doc = "Fails where packages would have to be resolved, or a step reads other "
                          "files than the lock says, and writes no lock: for CI."},
                  {.name = "check-reproducible",
                   .doc = "Builds the recipe's own image again in other surroundings and compares "
                          "every byte."},
                  {.name = "shell-on-failure",
                   .doc = "Opens a shell in the sandbox of a step that failed."}},
      .examples = {{"goldmill build examples/base.yaml", "a base from nothing"},
                   {"goldmill build examples/java.yaml", "a variant; base is not built again"},
                   {"goldmill build --all", "what is out of date here, after a new base too"},
                   {"goldmill build java --check-reproducible",
                    "are its bytes the recipe's alone?"},
                   {"goldmill build web.yaml --set version=1.2 --json", "for scripts"}},
      .exit_statuses = {{1, "with --check-reproducible: the second build has other bytes"}},
      .see_also = {"plan", "test", "show", "keep-packages"},
      .run = run_build};
}

}  // namespace goldmill::cli
