// SPDX-License-Identifier: GPL-3.0-or-later
#include <cerrno>

#include <unistd.h>

#include <goldmill/launch/launch.hpp>
#include <goldmill/system/process.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

/// The command behind the instance's name, without the "--" between.
std::vector<std::string> command_of(const Parsed& parsed) {
  std::vector<std::string> words = parsed.arguments();
  const bool has_dashes = words.size() > 1 && words[1] == "--";
  words.erase(words.begin(), words.begin() + (has_dashes ? 2 : 1));
  return words;
}

/// Runs ssh to its end; its status is the answer's and ours.
Result<int> tell(const std::vector<std::string>& argv, Terminal& terminal) {
  const system::Output output = TRY(system::process_runner().run(system::Command{.argv = argv}));
  terminal.print_json(
      {{"status", output.status}, {"stdout", output.text}, {"stderr", output.errors}});
  return output.status;
}

int run_ssh(const Parsed& parsed, Terminal& terminal) {
  const std::vector<std::string> command = command_of(parsed);
  if (terminal.json() && command.empty()) {
    return terminal.fail({ErrorKind::invalid_input,
                          "--json needs a command: a shell has no answer that could be told",
                          "write it behind the instance: goldmill ssh --json " +
                              parsed.argument(0) + " -- COMMAND"});
  }
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    auto argv = TRY(launch::ssh_arguments(session.home.root(), parsed.argument(0)));
    if (!command.empty()) {
      argv.emplace_back("--");
      argv.insert(argv.end(), command.begin(), command.end());
    }
    terminal.progress().finish();
    if (terminal.json()) {
      return tell(argv, terminal);
    }
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
                      "the instance's agent reported, so nobody is asked to trust it.",
                      "With --json, which stands before the instance's name, the command gets no "
                      "input, and its exit status and what it wrote are one object."},
      .arguments =
          {{"INSTANCE", "its name, see `goldmill ps`", Argument::Count::one, Completes::instances},
           {"COMMAND", "run instead of a shell", Argument::Count::any}},
      .examples = {{"goldmill ssh java-001", "a shell"},
                   {"goldmill ssh java-001 -- java -version", "one command"},
                   {"goldmill ssh --json java-001 -- java -version", "the same for scripts"}},
      .see_also = {"launch", "ps"},
      .options_end_after = 1,
      .run = run_ssh};
}

}  // namespace goldmill::cli
