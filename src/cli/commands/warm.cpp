// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/factory/image_jobs.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

int run_warm(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    launch::LaunchRequest request = TRY(launch_request(parsed));
    request.tell = [&terminal](const std::string& line) { terminal.progress().log(line); };
    const launch::Warmth warmth = TRY(factory::warm_image(session, request));
    terminal.progress().finish();
    if (terminal.json()) {
      terminal.print_json({{"image", request.image},
                           {"snapshot", warmth.directory.string()},
                           {"made", warmth.made},
                           {"bytes", warmth.bytes.value},
                           {"seconds", warmth.seconds}});
    } else {
      terminal.print_line(request.image + " is warm: " + to_text(warmth.bytes) + ", " +
                          (warmth.made ? "made in " : "checked in ") +
                          seconds_text(warmth.seconds));
    }
    return 0;
  });
}

}  // namespace

Command warm_command() {
  return {.name = "warm",
          .summary = "boot an image once and keep its memory for warm launches",
          .description =
              {"Boots the image, waits until it is quiet, and keeps its memory and devices as a "
               "snapshot, from which `goldmill launch --warm` goes on instead of booting. A "
               "snapshot is of one memory size, processor count, disk size, QEMU and accelerator; "
               "one that fits is checked and kept. `goldmill launch --warm` does this by itself.",
               "`goldmill rm IMAGE` and `goldmill gc` remove what no longer serves."},
          .arguments = {{"IMAGE", "NAME or NAME@VERSION", Argument::Count::one, Completes::images}},
          .options = machine_options(),
          .examples = {{"goldmill warm java", ""},
                       {"goldmill warm java --memory 1GiB", "for larger instances"}},
          .see_also = {"launch", "gc", "rm"},
          .run = run_warm};
}

}  // namespace goldmill::cli
