// SPDX-License-Identifier: GPL-3.0-or-later
// GuestTalk: has programs run in a booted system, by a script of ours that runs there as a unit.
// Both talk over a serial port: lines with what is to be done, and contents of the size that a line
// says. What comes from the guest is bounded and never trusted.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/plan/sandbox.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::factory {

/// A file that the guest's tree gets for the time of the step, and that no layer gets.
struct GuestFile {
  std::string path;  ///< absolute
  std::string_view content;
};

class GuestTalk {
 public:
  /// The unit and its script, and what the kernel's command line says to start it.
  static std::vector<GuestFile> files();
  static std::string kernel_options();
  /// For MachineSpec::ports.
  static std::vector<std::string> ports();

  struct Surroundings {
    std::function<void(std::string_view line)> log;  ///< what programs say
    /// Asked a few times a second: a reason to give up, or nothing.
    std::function<std::optional<Error>()> give_up;
  };

  /// `directory` is the machine's. Connect before its kernel starts.
  static Result<GuestTalk> connect(const std::filesystem::path& directory,
                                   Surroundings surroundings);

  /// Waits until the system says that it is up. Gives systemd's word for its state.
  Result<std::string> await_up(std::chrono::seconds limit);

  /// See plan::BootedTree. `disks`: where the machine's further disks are to be seen, in order.
  Result<std::string> capture(const plan::Execution& execution,
                              const std::vector<std::string>& disks,
                              std::chrono::seconds limit);

  /// Asks for an orderly end, and does not wait for it.
  Result<void> power_off();

 private:
  GuestTalk(system::UniqueFd port, system::UniqueFd log, Surroundings surroundings)
      : port_(std::move(port)), log_(std::move(log)), surroundings_(std::move(surroundings)) {}

  Result<void> send(std::string_view bytes);
  Result<void> show(const plan::Bind& bind);
  Result<std::string> next_line();
  Result<std::string> next_bytes(std::size_t count);
  /// Waits for bytes of the port; takes those of the log.
  Result<void> receive();
  Result<void> wait(short events);
  void take_log(bool all);
  std::string tail() const;

  system::UniqueFd port_;
  system::UniqueFd log_;
  Surroundings surroundings_;
  std::chrono::steady_clock::time_point end_ = {};
  std::string pending_;
  std::string unfinished_line_;
  std::vector<std::string> last_lines_;
};

}  // namespace goldmill::factory
