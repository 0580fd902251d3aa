// SPDX-License-Identifier: GPL-3.0-or-later
#include <termios.h>
#include <unistd.h>

#include <goldmill/launch/launch.hpp>

#include "commands.hpp"
#include "relay.hpp"

namespace goldmill::cli {

namespace {

constexpr char kLeave = 0x1d;  // Ctrl-], as in telnet and virsh

/// Every key goes to the guest, until it is taken back.
class RawKeyboard {
 public:
  RawKeyboard() {
    is_terminal_ = ::tcgetattr(STDIN_FILENO, &before_) == 0;
    if (is_terminal_) {
      termios raw = before_;
      ::cfmakeraw(&raw);
      ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
  }
  RawKeyboard(const RawKeyboard&) = delete;
  RawKeyboard& operator=(const RawKeyboard&) = delete;
  ~RawKeyboard() {
    if (is_terminal_) {
      ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }
  }

 private:
  termios before_{};
  bool is_terminal_ = false;
};

int run_console(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const auto console = TRY(launch::console(session.home.root(), parsed.argument(0)));
    terminal.note("connected to " + parsed.argument(0) + "; Ctrl-] leaves");
    terminal.progress().finish();
    const RawKeyboard keyboard;
    relay(console.get(), kLeave);
    return 0;
  });
}

}  // namespace

Command console_command() {
  return {
      .name = "console",
      .summary = "the serial console of an instance",
      .description = {"Connects keyboard and screen with the first serial port of a running "
                      "instance, as it is: what a guest writes there reaches the terminal. "
                      "Ctrl-] leaves. A second connection ends the first; one to an instance that "
                      "boots ends when it is ready."},
      .arguments =
          {{"INSTANCE", "its name, see `goldmill ps`", Argument::Count::one, Completes::instances}},
      .examples = {{"goldmill console java-001", ""}},
      .see_also = {"ssh", "ps"},
      .run = run_console};
}

}  // namespace goldmill::cli
