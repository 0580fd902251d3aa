// SPDX-License-Identifier: GPL-3.0-or-later
#include "relay.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <string_view>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <goldmill/system/file.hpp>

namespace goldmill::cli {

namespace {
enum class After : std::uint8_t { more, end, left };

/// Copies what is there to read now.
After copy_some(int from, int to, std::optional<char> key) {
  std::array<char, 65536> piece{};
  const ssize_t count = ::read(from, piece.data(), piece.size());
  if (count <= 0) {
    return count < 0 && errno == EINTR ? After::more : After::end;
  }
  const std::string_view bytes(piece.data(), static_cast<std::size_t>(count));
  const std::size_t end = key ? bytes.find(*key) : std::string_view::npos;
  if (!system::write_all(to, bytes.substr(0, end))) {
    return After::left;  // nobody takes it any more
  }
  return end == std::string_view::npos ? After::more : After::left;
}
}  // namespace

void relay(int socket, std::optional<char> leave) {
  std::array<pollfd, 2> files = {pollfd{socket, POLLIN, 0}, pollfd{STDIN_FILENO, POLLIN, 0}};
  while (::poll(files.data(), files.size(), -1) >= 0 || errno == EINTR) {
    if (files[0].revents != 0 && copy_some(socket, STDOUT_FILENO, std::nullopt) != After::more) {
      return;
    }
    const After after =
        files[1].revents != 0 ? copy_some(STDIN_FILENO, socket, leave) : After::more;
    if (after == After::left) {
      return;
    }
    if (after == After::end && leave) {  // a console never ends by itself, a text does
      while (::poll(files.data(), 1, 0) > 0 &&
             copy_some(socket, STDOUT_FILENO, std::nullopt) == After::more) {
      }
      return;
    }
    if (after == After::end) {
      ::shutdown(socket, SHUT_WR);
      files[1].fd = -1;
    }
  }
}

}  // namespace goldmill::cli
