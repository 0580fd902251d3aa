// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/launch/launch.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

int run_ps(const Parsed& /*parsed*/, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const auto instances = TRY(launch::list(session.home.root()));
    if (terminal.json()) {
      Json rows = Json::array();
      for (const launch::Instance& instance : instances) {
        rows.push_back(launch::to_json(instance));
      }
      terminal.print_json({{"instances", std::move(rows)}});
      return 0;
    }
    Table table{{{"instance"},
                 {"image"},
                 {"fleet"},
                 {"state"},
                 {"SSH port", Table::Align::right},
                 {"host name"}},
                {}};
    for (const launch::Instance& instance : instances) {
      table.rows.push_back({instance.name,
                            instance.image,
                            instance.fleet,
                            launch::name_of(instance.state),
                            instance.ssh_port == 0 ? "" : std::to_string(instance.ssh_port),
                            instance.hostname});
    }
    terminal.print_table(table);
    return 0;
  });
}

}  // namespace

Command ps_command() {
  return {.name = "ps",
          .summary = "list instances and their real state",
          .description = {"Lists all instances, running or not. The state is compared with what "
                          "really runs, so it is true after a crash of goldmill or a reboot."},
          .examples = {{"goldmill ps", ""}},
          .see_also = {"launch", "stop"},
          .run = run_ps};
}

}  // namespace goldmill::cli
