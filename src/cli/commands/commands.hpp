// SPDX-License-Identifier: GPL-3.0-or-later
// The commands of the program, one file each, and what they share: how a job's progress is shown.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/cli/command.hpp>
#include <goldmill/factory/build_image.hpp>
#include <goldmill/factory/session.hpp>
#include <goldmill/launch/launch.hpp>

namespace goldmill::cli {

Command plan_command();
Command build_command();
Command lock_command();
Command keep_packages_command();
Command outdated_command();
Command list_command();
Command show_command();
Command diff_command();
Command size_command();
Command explain_command();
Command questions_command();
Command answers_command();
Command test_command();
Command digest_command();
Command export_command();
Command launch_command();
Command warm_command();
Command hosts_command();
Command ps_command();
Command ssh_command();
Command connect_command();
Command console_command();
Command stop_command();
Command start_command();
Command rm_command();
Command gc_command();
Command pack_command();
Command check_command();
Command import_command();
Command completion_command();
Command man_command();
Command complete_command();

/// The whole program; the man page, help and completion are made from it.
const Program& goldmill_program();

/// Shows a job on the terminal, and stops it at Ctrl-C.
class TerminalObserver : public factory::Observer {
 public:
  explicit TerminalObserver(Terminal& terminal);
  void step_started(std::string_view image,
                    std::string_view step,
                    std::string_view reason) override;
  void step_progress(std::string_view phase, std::uint64_t done, std::uint64_t total) override;
  void step_ended(std::string_view step, std::string_view result, double seconds) override;
  void note(std::string_view line) override;
  bool is_cancelled() override;
  std::unique_ptr<Observer> beside(std::string_view image) override;

 private:
  Terminal& terminal_;
  std::string beside_;  // in front of its phases, where others have phases of the same name
  std::string image_;
  std::string phase_;
};

/// Runs a job in a session and gives the exit status; errors are shown.
int run_job(Terminal& terminal, const std::function<Result<int>(factory::Session& session)>& job);

/// "12.3 s".
std::string seconds_text(double seconds);
/// "java@1, web@2".
std::string comma_list(const std::vector<std::string>& words);
/// "12 layers, 3 disks".
std::string counts_text(const std::map<std::string, std::size_t>& counts);

/// The instances that a command's arguments name, by themselves or by their fleets. Errors:
/// not_found, with a suggestion.
Result<std::set<std::string>> instances_of(factory::Session& session, const Parsed& parsed);

/// Where an instance's SSH server is reached: "127.0.0.1:20000", or "".
std::string ssh_place(const launch::Instance& instance);
/// What went wrong with each; what many have in common is said once.
void warn_of(const std::vector<launch::Instance>& instances, Terminal& terminal);

/// How the machines are that `launch` starts and `warm` prepares.
std::vector<Option> machine_options();
Result<launch::LaunchRequest> launch_request(const Parsed& parsed);

/// What every command that takes one recipe has: its argument, --set, and the request they make.
Argument recipe_argument();
Option set_option();
Option os_option();
Result<factory::BuildRequest> build_request(const Parsed& parsed);
/// The same of commands that take several, or --all of a directory.
Argument recipes_argument();
Option all_option();
Result<factory::BuildRequest> recipes_request(const Parsed& parsed);
/// The file that a RECIPE argument means.
std::filesystem::path recipe_file(const std::string& argument);

}  // namespace goldmill::cli
