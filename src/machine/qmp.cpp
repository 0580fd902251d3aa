// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <goldmill/machine/qmp.hpp>

namespace goldmill::machine {

namespace fs = std::filesystem;
using system::UniqueFd;

namespace {
constexpr std::size_t kLongestAnswer = 1U << 20;

/// The address of a socket below `directory`, by way of its open descriptor.
sockaddr_un address_of(int directory, const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = "/proc/self/fd/" + std::to_string(directory) + "/" + name;
  std::strncpy(static_cast<char*>(address.sun_path), text.c_str(), sizeof address.sun_path - 1);
  return address;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);  // the sockets API's own idiom
}

struct OpenedSocket {
  UniqueFd socket;
  UniqueFd directory;
};

Result<OpenedSocket> open_socket(const fs::path& path) {
  OpenedSocket opened;
  opened.directory = TRY(system::open_directory(path.parent_path()));
  opened.socket = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!opened.socket) {
    return system_error("cannot make a socket", errno);
  }
  return opened;
}
}  // namespace

Result<UniqueFd> listen_unix(const fs::path& path) {
  OpenedSocket opened = TRY(open_socket(path));
  const std::string name = path.filename();
  ::unlinkat(opened.directory.get(), name.c_str(), 0);
  const sockaddr_un address = address_of(opened.directory.get(), name);
  // The mode of an unbound socket is the mode of the file that bind makes: no umask to change.
  if (::fchmod(opened.socket.get(), 0600) != 0 ||
      ::bind(opened.socket.get(), generic(address), sizeof address) != 0 ||
      ::listen(opened.socket.get(), 4) != 0) {
    return system_error("cannot listen on " + path.string(), errno);
  }
  return std::move(opened.socket);
}

Result<UniqueFd> connect_unix(const fs::path& path) {
  OpenedSocket opened = TRY(open_socket(path));
  const sockaddr_un address = address_of(opened.directory.get(), path.filename());
  if (::connect(opened.socket.get(), generic(address), sizeof address) != 0) {
    Error error = system_error("cannot connect to " + path.string(), errno);
    error.kind = ErrorKind::unavailable;
    return error;
  }
  return std::move(opened.socket);
}

Result<Qmp> Qmp::connect(const fs::path& socket, std::chrono::milliseconds limit) {
  Qmp qmp(TRY(connect_unix(socket)), limit);
  auto greeting = qmp.next_message();
  if (!greeting) {
    return std::move(greeting).context("no greeting from QEMU on " + socket.string()).error();
  }
  if (find_value(*greeting, "QMP") == nullptr) {
    return Error{ErrorKind::tool_failed, socket.string() + " does not speak QMP"};
  }
  TRY(qmp.execute("qmp_capabilities"));
  return qmp;
}

Result<void> Qmp::send(const std::string& line, int descriptor) {
  if (descriptor < 0) {
    return system::send_all(socket_.get(), line);
  }
  iovec piece{const_cast<char*>(line.data()), line.size()};  // sendmsg reads only
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(line.size())) {
    return system_error("cannot send to QEMU", errno);
  }
  return {};
}

Result<Json> Qmp::next_message() {
  const auto end = std::chrono::steady_clock::now() + limit_;
  std::array<char, 1 << 16> piece{};
  while (true) {
    const std::size_t line = pending_.find('\n');
    if (line != std::string::npos) {
      auto message = parse_json(std::string_view(pending_).substr(0, line), "QEMU's answer");
      pending_.erase(0, line + 1);
      return message;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd wait{socket_.get(), POLLIN, 0};
    const int ready = left.count() <= 0 ? 0 : ::poll(&wait, 1, static_cast<int>(left.count()));
    if (ready == 0) {
      return Error{ErrorKind::cancelled, "QEMU did not answer in time"};
    }
    if (ready < 0 && errno == EINTR) {
      continue;
    }
    const ssize_t count = ::read(socket_.get(), piece.data(), piece.size());
    if (count <= 0) {
      return Error{ErrorKind::unavailable, "QEMU closed its control socket"};
    }
    pending_.append(piece.data(), static_cast<std::size_t>(count));
    if (pending_.size() > kLongestAnswer) {
      return Error{ErrorKind::corrupt, "QEMU's answer is longer than 1 MiB"};
    }
  }
}

Result<Json> Qmp::execute(std::string_view command, const Json& arguments, int descriptor) {
  const Json request = {{"execute", command}, {"arguments", arguments}};
  TRY(send(request.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n", descriptor));
  for (int messages = 0; messages < 1000; ++messages) {
    const Json answer = TRY(next_message().context(std::string(command)));
    if (const Json* value = find_value(answer, "return")) {
      return *value;
    }
    if (const Json* error = find_value(answer, "error")) {
      return Error{ErrorKind::tool_failed,
                   "QEMU refused " + std::string(command) + ": " +
                       find_string(*error, "desc").value_or("no reason given")};
    }
  }
  return Error{ErrorKind::corrupt, "QEMU sends events without end"};
}

}  // namespace goldmill::machine
