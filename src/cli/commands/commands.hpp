// SPDX-License-Identifier: GPL-3.0-or-later
// The commands of the program, one file each, and what they share: how a job's progress is shown.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <goldmill/cli/command.hpp>
#include <goldmill/factory/build_image.hpp>
#include <goldmill/factory/session.hpp>

namespace goldmill::cli {

Command plan_command();
Command build_command();
Command lock_command();
Command outdated_command();
Command list_command();
Command show_command();
Command explain_command();
Command test_command();
Command digest_command();
Command export_command();
Command launch_command();
Command ps_command();
Command ssh_command();
Command stop_command();
Command start_command();
Command rm_command();
Command gc_command();
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

/// What every command that takes one recipe has: its argument, --set, and the request they make.
Argument recipe_argument();
Option set_option();
Result<factory::BuildRequest> build_request(const Parsed& parsed);
/// The file that a RECIPE argument means.
std::filesystem::path recipe_file(const std::string& argument);

}  // namespace goldmill::cli
