// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/base/bytes.hpp>
#include <goldmill/factory/collect.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

void show(const factory::CollectReport& report, bool dry_run, Terminal& terminal) {
  for (const std::string& image : report.images) {
    terminal.print_line((dry_run ? "would remove " : "removed ") + image);
  }
  const std::string counts = counts_text(report.counts);
  terminal.print_line(counts.empty() ? "Nothing to remove."
                                     : (dry_run ? "would free " : "freed ") +
                                           to_text(report.freed) + ": " + counts);
}

int run_gc(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    factory::CollectRequest request;
    request.dry_run = parsed.has("dry-run");
    request.keep_versions = TRY(parsed.integer("keep", 1, 1'000'000)).value_or(0);
    if (const auto days = TRY(parsed.integer("keep-days", 0, 36'500))) {
      request.keep_younger = std::chrono::hours(24) * *days;
    }
    if (const auto days = TRY(parsed.integer("unused-days", 0, 36'500))) {
      request.keep_unused = std::chrono::hours(24) * *days;
    }
    const factory::CollectReport report = TRY(factory::collect(session, request));
    terminal.progress().finish();
    if (terminal.json()) {
      Json json = report.to_json();
      json["dry_run"] = request.dry_run;
      terminal.print_json(json);
    } else {
      show(report, request.dry_run, terminal);
    }
    return 0;
  });
}

}  // namespace

Command gc_command() {
  return {
      .name = "gc",
      .summary = "free the space of what nothing needs any more",
      .description =
          {"Removes layers, disks and packages that no image, running build or running instance "
           "needs. Results of steps that no image holds stay for a week, so that a changed or "
           "failed build takes them up again, and so do downloads that were broken off. Other "
           "files among blobs and packages go at once.",
           "With --keep or --keep-days also old versions of images go, with both those that are "
           "beyond both; but never the newest of a name, nor one that another image stands on, "
           "that an instance is linked to, or that a channel names. May run beside builds and "
           "launches."},
      .options = {{.name = "dry-run",
                   .letter = 'n',
                   .doc = "Says what would go and how much it is."},
                  {.name = "keep",
                   .value = "N",
                   .doc = "Keeps only the N newest versions of every name.",
                   .standard = "all"},
                  {.name = "keep-days",
                   .value = "DAYS",
                   .doc = "Keeps versions that are younger.",
                   .standard = "all, without --keep"},
                  {.name = "unused-days",
                   .value = "DAYS",
                   .doc = "How long what no image holds stays.",
                   .standard = "7"}},
      .examples = {{"goldmill gc --dry-run", ""},
                   {"goldmill gc --keep 3", "for a timer"},
                   {"goldmill gc --unused-days 0", "all that can be had again"}},
      .see_also = {"rm", "list"},
      .run = run_gc};
}

}  // namespace goldmill::cli
