// SPDX-License-Identifier: GPL-3.0-or-later
#include <cerrno>

#include <unistd.h>

#include <goldmill/launch/launch.hpp>
#include <goldmill/system/process.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

int run_ssh(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    auto argv = TRY(launch::ssh_arguments(session.home.root(), parsed.argument(0)));
    const auto& words = parsed.arguments();
    if (words.size() > 1) {
      argv.emplace_back("--");
      argv.insert(argv.end(), words.begin() + (words[1] == "--" ? 2 : 1), words.end());
    }
    terminal.progress().finish();
    ::execvp(argv[0].c_str(), system::exec_list(argv).data());
    return system_error("cannot run ssh", errno);
  });
}

}  // namespace

Command ssh_command() {
  return {
      .name = "ssh",
      .summary = "log in to an instance, or run a command in it",
      .description = {"Connects with goldmill's own key; the host key is pinned to the one that "
                      "the instance's agent reported, so nobody is asked to trust it."},
      .arguments =
          {{"INSTANCE", "its name, see `goldmill ps`", Argument::Count::one, Completes::instances},
           {"COMMAND", "run instead of a shell", Argument::Count::any}},
      .examples = {{"goldmill ssh java-001", "a shell"},
                   {"goldmill ssh java-001 -- java -version", "one command"}},
      .see_also = {"launch", "ps"},
      .options_end_after = 1,
      .run = run_ssh};
}

}  // namespace goldmill::cli
