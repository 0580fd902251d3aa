// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/base/bytes.hpp>
#include <goldmill/factory/check.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

void show(const factory::CheckReport& report, Terminal& terminal) {
  for (const factory::CheckFinding& finding : report.findings) {
    std::string line = std::string(name_of(finding.kind)) + "  " + finding.object;
    line += finding.why.empty() ? "" : ": " + finding.why;
    line += finding.images.empty() ? "" : " (needed by " + comma_list(finding.images) + ")";
    terminal.print_line(line);
    if (!finding.outcome.empty()) {
      terminal.print_line(std::string(finding.repaired ? "  repaired: " : "  not repaired: ") +
                          finding.outcome);
    }
  }
  const std::string counts = counts_text(report.checked);
  const std::string looked_at = counts.empty() ? "nothing, the store is empty" : counts;
  terminal.print_line((report.findings.empty() ? "all is right: " : "looked at ") + looked_at);
  if (report.without_digest > 0) {
    terminal.print_line(std::to_string(report.without_digest) +
                        " of them are from before their digests were recorded");
  }
}

int run_check(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const factory::CheckReport report = TRY(factory::check_store(session, parsed.has("repair")));
    terminal.progress().finish();
    if (terminal.json()) {
      terminal.print_json(report.to_json());
    } else {
      show(report, terminal);
    }
    return report.is_sound() ? 0 : 1;
  });
}

}  // namespace

Command check_command() {
  return {.name = "check",
          .summary = "check that everything stored is there and is what it was",
          .description =
              {"Reads every layer, disk, blob and package of the store and compares it with its "
               "digest; says what is damaged, missing or unknown, and which images stand on it. "
               "It may run beside builds and launches.",
               "With --repair what can be had again is made again: layers from their packed blobs "
               "or by running their steps with the locked packages, disks and blobs from layers. "
               "A damaged package is removed, and the next build that needs it fetches it. What "
               "is unknown harms nothing, and `gc` frees it."},
          .options = {{.name = "repair", .doc = "Makes again what can be had again."}},
          .examples = {{"goldmill check", "for a timer"}, {"goldmill check --repair", ""}},
          .exit_statuses = {{1, "something is damaged or missing, and was not repaired"}},
          .see_also = {"gc", "pack"},
          .run = run_check};
}

}  // namespace goldmill::cli
