// SPDX-License-Identifier: GPL-3.0-or-later
#include "pseudo_terminal.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace goldmill::build {

using system::UniqueFd;

Result<PseudoTerminal> PseudoTerminal::open() {
  if (::isatty(STDIN_FILENO) == 0) {
    return Error{ErrorKind::unavailable,
                 "no shell is opened: standard input is not a terminal",
                 "run the command from a terminal"};
  }
  UniqueFd outer(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!outer || ::grantpt(outer.get()) != 0 || ::unlockpt(outer.get()) != 0) {
    return system_error("cannot make a pseudo-terminal", errno);
  }
  UniqueFd inner(::ioctl(outer.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!inner) {
    return system_error("cannot open the pseudo-terminal", errno);
  }
  winsize size{};
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) {
    ::ioctl(inner.get(), TIOCSWINSZ, &size);
  }
  return PseudoTerminal(std::move(outer), std::move(inner));
}

void PseudoTerminal::connect() {
  ::tcgetattr(STDIN_FILENO, &before_);
  termios raw = before_;
  ::cfmakeraw(&raw);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  relay_ = std::thread([this] { relay(); });
}

PseudoTerminal::~PseudoTerminal() {
  if (relay_.joinable()) {
    inner_.reset();
    (void)::eventfd_write(stop_.get(), 1);
    relay_.join();
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
}

void PseudoTerminal::relay() const {
  std::array<char, 4096> piece{};
  std::array<pollfd, 3> waits = {
      {{STDIN_FILENO, POLLIN, 0}, {outer_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
  while (::poll(waits.data(), waits.size(), -1) >= 0 || errno == EINTR) {
    // Output first, so that the last words of a shell that has ended are shown.
    if (waits[1].revents != 0) {
      const ssize_t count = ::read(outer_.get(), piece.data(), piece.size());
      if (count > 0) {
        (void)!::write(STDERR_FILENO, piece.data(), static_cast<std::size_t>(count));
        continue;
      }
    }
    if (waits[2].revents != 0) {
      return;
    }
    if (waits[0].revents != 0) {
      const ssize_t count = ::read(STDIN_FILENO, piece.data(), piece.size());
      if (count > 0) {
        (void)!::write(outer_.get(), piece.data(), static_cast<std::size_t>(count));
      } else {
        waits[0].fd = -1;
        *gone_ = true;
      }
    }
  }
}

}  // namespace goldmill::build
