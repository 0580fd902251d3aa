// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>

#include <goldmill/system/message.hpp>

namespace goldmill::system {

namespace {
struct alignas(cmsghdr) Control {
  std::array<char, CMSG_SPACE(sizeof(int))> bytes{};
};
}  // namespace

Result<void> send_message(int socket, char kind, int descriptor) {
  iovec piece{&kind, 1};
  Control control;
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) != 1) {
    return system_error("cannot send to a process of ours", errno);
  }
  return {};
}

Result<Message> receive_message(int socket, std::chrono::milliseconds limit) {
  pollfd wait{socket, POLLIN, 0};
  if (::poll(&wait, 1, static_cast<int>(limit.count())) <= 0) {
    return Error{ErrorKind::cancelled, "a process of ours did not answer in time"};
  }
  Message received;
  iovec piece{&received.kind, 1};
  Control control;
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) {
    return Error{ErrorKind::unavailable, "a process of ours has ended"};
  }
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int number = -1;
    std::memcpy(&number, CMSG_DATA(header), sizeof number);
    received.descriptor = UniqueFd(number);
  }
  return received;
}

}  // namespace goldmill::system
