// SPDX-License-Identifier: GPL-3.0-or-later
#include <sstream>
#include <utility>

#include <goldmill/factory/image_jobs.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

std::vector<machine::Firmware> firmwares(const Parsed& parsed) {
  std::vector<machine::Firmware> wanted;
  for (const std::string& name : parsed.values("firmware")) {
    wanted.push_back(name == "bios"   ? machine::Firmware::bios
                     : name == "uefi" ? machine::Firmware::uefi
                                      : machine::Firmware::uefi_secure);
  }
  return wanted;
}

std::vector<machine::Controller> controllers(const Parsed& parsed) {
  std::vector<machine::Controller> wanted = {machine::Controller::virtio};
  for (const std::string& name : parsed.values("machine")) {
    wanted.push_back(name == "nvme" ? machine::Controller::nvme : machine::Controller::pvscsi);
  }
  return wanted;
}

/// A text of the dossier, where it has one.
void show_text(const Json& dossier, const char* key, const char* title, Terminal& terminal) {
  const std::string text = find_string(dossier, key).value_or("");
  if (!text.empty()) {
    terminal.print_line(std::string("  ") + title + ": " + text);
  }
}

/// Lines that are not blank, below their title.
void show_lines(const std::vector<std::string>& lines, const char* title, Terminal& terminal) {
  bool is_first = true;
  for (const std::string& line : lines) {
    if (line.find_first_not_of(' ') == std::string::npos) {
      continue;
    }
    if (std::exchange(is_first, false)) {
      terminal.print_line(std::string("  ") + title + ":");
    }
    terminal.print_line("  | " + line);
  }
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

void show_failure(const prove::BootFailure& failure, Terminal& terminal) {
  const Json& dossier = failure.dossier;
  terminal.print_line("boot by " + failure.boot + ": " + failure.error);
  show_text(dossier, "likely_cause", "likely cause", terminal);
  show_text(dossier, "hint", "hint", terminal);
  show_lines(find_strings(dossier, "serial_tail"), "end of the serial console", terminal);
  show_lines(find_strings(dossier, "screen"), "last screen", terminal);
  show_lines(lines_of(find_string(dossier, "qemu_log").value_or("")), "QEMU's own words", terminal);
  show_text(dossier, "serial_log", "serial log", terminal);
  show_text(dossier, "screenshot", "screenshot", terminal);
}

void show(const prove::Report& report, Terminal& terminal) {
  Table table{{{"promise"}, {"expected"}, {"found"}, {""}}, {}};
  for (const prove::Row& row : report.promises) {
    table.rows.push_back({row.promise, row.expected, row.found, row.passed ? "ok" : "FAILED"});
  }
  terminal.print_table(table);
  for (const prove::BootFailure& failure : report.failures) {
    show_failure(failure, terminal);
  }
  for (const std::string& warning : report.warnings) {
    terminal.warn(warning);
  }
  terminal.print_line(report.image + (report.passed ? " keeps its promises" : " BREAKS promises") +
                      " (" + report.accelerator_reason + ")");
}

int run_test(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const factory::TestRequest request{parsed.argument(0), firmwares(parsed), controllers(parsed)};
    const prove::Report report = TRY(factory::test_image(
        session, request, [&terminal](const std::string& boot, const std::string& news) {
          terminal.progress().log(boot + ": " + news);
        }));
    terminal.progress().finish();
    if (terminal.json()) {
      terminal.print_json(prove::to_json(report));
    } else {
      show(report, terminal);
    }
    return report.passed ? 0 : 1;
  });
}

}  // namespace

Command test_command() {
  return {.name = "test",
          .summary = "boot an image and check every promise of its recipe",
          .description =
              {"Boots copies of the image by BIOS and by UEFI in a network of their own and checks "
               "what the recipe promises, from outside (address by DHCP, exactly the named ports "
               "answer, passwords are refused) and from inside (no failed unit, users, time zone, "
               "commands, sizes). The image itself is never written.",
               "A boot that fails leaves its serial log, last screen and the likely cause.",
               "`list` says that an image passed when it did by each firmware that its recipe's "
               "`disk.boot` names, in one test or in several."},
          .arguments = {{"IMAGE", "NAME or NAME@VERSION", Argument::Count::one, Completes::images}},
          .options = {{.name = "firmware",
                       .value = "FIRMWARE",
                       .doc = "Boots by this firmware only.",
                       .choices = {"bios", "uefi", "uefi-secure"},
                       .standard = "those of the recipe's disk.boot",
                       .repeatable = true},
                      {.name = "machine",
                       .value = "CONTROLLER",
                       .doc = "Boots also from a disk on this controller.",
                       .choices = {"nvme", "pvscsi"},
                       .repeatable = true}},
          .examples = {{"goldmill test java", ""},
                       {"goldmill test base --machine nvme --firmware bios", ""}},
          .exit_statuses = {{1, "a promise is not kept"}},
          .see_also = {"build", "launch"},
          .run = run_test};
}

}  // namespace goldmill::cli
