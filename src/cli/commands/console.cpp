// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <cerrno>

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <goldmill/launch/launch.hpp>

#include "commands.hpp"

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

/// Copies what is there to read now. False at the end, or at the key that leaves.
bool copy_some(int from, int to, bool is_keyboard) {
  std::array<char, 4096> piece{};
  const ssize_t count = ::read(from, piece.data(), piece.size());
  if (count <= 0) {
    return count < 0 && errno == EINTR;
  }
  std::string_view bytes(piece.data(), static_cast<std::size_t>(count));
  const std::size_t leave = is_keyboard ? bytes.find(kLeave) : std::string_view::npos;
  return system::write_all(to, bytes.substr(0, leave)) && leave == std::string_view::npos;
}

void relay(int console) {
  const RawKeyboard keyboard;
  std::array<pollfd, 2> files = {pollfd{console, POLLIN, 0}, pollfd{STDIN_FILENO, POLLIN, 0}};
  while (::poll(files.data(), files.size(), -1) >= 0 || errno == EINTR) {
    if (files[0].revents != 0 && !copy_some(console, STDOUT_FILENO, false)) {
      return;
    }
    if (files[1].revents != 0 && !copy_some(STDIN_FILENO, console, true)) {
      return;
    }
  }
}

int run_console(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const auto console = TRY(launch::console(session.home.root(), parsed.argument(0)));
    terminal.note("connected to " + parsed.argument(0) + "; Ctrl-] leaves");
    terminal.progress().finish();
    relay(console.get());
    return 0;
  });
}

}  // namespace

Command console_command() {
  return {.name = "console",
          .summary = "the serial console of an instance",
          .description = {"Connects keyboard and screen with the first serial port of a running "
                          "instance, as it is: what a guest writes there reaches the terminal. "
                          "Ctrl-] leaves. A second connection ends the first."},
          .arguments = {{"INSTANCE",
                         "its name, see `goldmill ps`",
                         Argument::Count::one,
                         Completes::instances}},
          .examples = {{"goldmill console java-001", ""}},
          .see_also = {"ssh", "ps"},
          .run = run_console};
}

}  // namespace goldmill::cli
