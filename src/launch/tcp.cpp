// SPDX-License-Identifier: GPL-3.0-or-later
#include "tcp.hpp"

#include <cerrno>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace goldmill::launch {

using system::UniqueFd;

Result<UniqueFd> connect_tcp(UniqueFd socket, const std::string& address, std::uint16_t port) {
  if (!socket) {
    socket = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &target.sin_addr);
  const timeval patience{30, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const auto* const generic = reinterpret_cast<const sockaddr*>(&target);  // the API's own idiom
  if (::connect(socket.get(), generic, sizeof target) != 0) {
    Error error = system_error("cannot connect to " + address + ":" + std::to_string(port), errno);
    error.kind = ErrorKind::unavailable;
    return error;
  }
  const timeval for_ever{0, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &for_ever, sizeof for_ever);
  return socket;
}

}  // namespace goldmill::launch
