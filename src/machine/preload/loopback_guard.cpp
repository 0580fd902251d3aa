// SPDX-License-Identifier: GPL-3.0-or-later
// The loopback guard: QEMU's user network shows this machine's own loopback to the guest as its
// gateway (10.A.B.2), and no option of QEMU's changes that. Preloaded into QEMU, this refuses the
// way there, so that a guest reaches neither services that only this machine is to see nor the
// forwarded SSH ports of other instances. A resolver that listens on the loopback stays reachable.
#include <cerrno>
#include <cstdint>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// Refused as a host that cannot be reached: at ECONNREFUSED from connect() libslirp 4.7 sends the
// guest's packet back as its answer and frees it once more, at which QEMU was seen to abort.
namespace {
constexpr std::uint16_t kDns = 53;

/// 127.0.0.0/8, and 0.0.0.0, which leads there. The user network has no IPv6.
bool is_loopback(const sockaddr* address, socklen_t length) {
  sockaddr_in internet{};
  if (address == nullptr || length < sizeof internet || address->sa_family != AF_INET) {
    return false;
  }
  std::memcpy(&internet, address, sizeof internet);
  const std::uint32_t number = ntohl(internet.sin_addr.s_addr);
  return (number == INADDR_ANY || number >> 24U == IN_LOOPBACKNET) &&
         ntohs(internet.sin_port) != kDns;
}
}  // namespace

extern "C" {

int connect(int socket, const sockaddr* address, socklen_t length) {
  if (is_loopback(address, length)) {
    errno = EHOSTUNREACH;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_connect, socket, address, length));
}

ssize_t sendto(int socket,
               const void* data,
               size_t size,
               int flags,
               const sockaddr* address,
               socklen_t length) {
  if (is_loopback(address, length)) {
    errno = EHOSTUNREACH;
    return -1;
  }
  return ::syscall(SYS_sendto, socket, data, size, flags, address, length);
}

}  // extern "C"
