// SPDX-License-Identifier: GPL-3.0-or-later
#include "libvirt_stream.hpp"

#include <array>
#include <cerrno>
#include <memory>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

namespace goldmill::launch {

namespace {
using system::UniqueFd;

/// Bytes on their way in one direction.
struct Buffer {
  std::array<char, 16384> bytes{};
  std::size_t begin = 0;
  std::size_t end = 0;
  bool empty() const { return begin == end; }
};

/// Carries bytes between a stream and a socket, in the event loop's thread, which deletes it when
/// it has let go of the socket. (Of a stream's callback libvirt 9 never lets go.)
class Pump {
 public:
  Pump(virStreamPtr stream, UniqueFd socket) : stream_(stream), socket_(std::move(socket)) {}
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;
  ~Pump() { virStreamFree(stream_); }

  /// On success the loop owns it. Nothing may touch it afterwards.
  static Result<void> run(std::unique_ptr<Pump> pump) {
    const std::lock_guard guard(pump->lock_);
    pump->watch_ = virEventAddHandle(
        pump->socket_.get(), VIR_EVENT_HANDLE_READABLE, on_socket, pump.get(), let_go);
    if (pump->watch_ < 0) {
      return libvirt_error("cannot watch a socket");
    }
    Pump& running = *pump.release();  // let_go() deletes it
    if (virStreamEventAddCallback(
            running.stream_, VIR_STREAM_EVENT_READABLE, on_stream, &running, nullptr) < 0) {
      const Error error = libvirt_error("cannot watch a stream");
      running.end();
      return error;
    }
    return {};
  }

 private:
  static void let_go(void* opaque) {
    Pump* pump = static_cast<Pump*>(opaque);
    { const std::lock_guard until_run_has_returned(pump->lock_); }
    delete pump;  // NOLINT(cppcoreguidelines-owning-memory): a callback of C
  }
  static void on_socket(int /*watch*/, int /*file*/, int /*events*/, void* opaque) {
    static_cast<Pump*>(opaque)->move();
  }
  static void on_stream(virStreamPtr /*stream*/, int /*events*/, void* opaque) {
    static_cast<Pump*>(opaque)->move();
  }

  void move() {
    const std::lock_guard guard(lock_);
    if (over_) {
      return;
    }
    if (!move_in() || !move_out()) {
      end();
      return;
    }
    const int room_in = in_.empty() ? VIR_STREAM_EVENT_READABLE : 0;
    const int waits_out = out_.empty() ? 0 : VIR_STREAM_EVENT_WRITABLE;
    virStreamEventUpdateCallback(stream_, room_in | waits_out);
    const int room_out = out_.empty() ? VIR_EVENT_HANDLE_READABLE : 0;
    const int waits_in = in_.empty() ? 0 : VIR_EVENT_HANDLE_WRITABLE;
    virEventUpdateHandle(watch_, room_out | waits_in);
  }

  /// From the stream to the socket, as far as both go without waiting. False when one has ended.
  bool move_in() {
    for (;;) {
      if (in_.empty()) {
        const int got = virStreamRecv(stream_, in_.bytes.data(), in_.bytes.size());
        if (got == kWouldWait) {
          return true;
        }
        if (got <= 0) {
          return false;
        }
        in_.begin = 0;
        in_.end = static_cast<std::size_t>(got);
      }
      const ssize_t sent =
          ::send(socket_.get(), in_.bytes.data() + in_.begin, in_.end - in_.begin, MSG_NOSIGNAL);
      if (sent < 0) {
        return errno == EAGAIN || errno == EINTR;
      }
      in_.begin += static_cast<std::size_t>(sent);
    }
  }

  /// From the socket to the stream.
  bool move_out() {
    for (;;) {
      if (out_.empty()) {
        const ssize_t got = ::recv(socket_.get(), out_.bytes.data(), out_.bytes.size(), 0);
        if (got < 0) {
          return errno == EAGAIN || errno == EINTR;
        }
        if (got == 0) {
          return false;
        }
        out_.begin = 0;
        out_.end = static_cast<std::size_t>(got);
      }
      const int sent =
          virStreamSend(stream_, out_.bytes.data() + out_.begin, out_.end - out_.begin);
      if (sent == kWouldWait) {
        return true;
      }
      if (sent < 0) {
        return false;
      }
      out_.begin += static_cast<std::size_t>(sent);
    }
  }

  void end() {
    over_ = true;
    virEventRemoveHandle(watch_);
    virStreamEventRemoveCallback(stream_);
    virStreamAbort(stream_);
    socket_ = UniqueFd();
  }

  static constexpr int kWouldWait = -2;  // of a stream that does not block

  std::mutex lock_;
  virStreamPtr stream_;
  UniqueFd socket_;
  int watch_ = -1;
  bool over_ = false;
  Buffer in_;
  Buffer out_;
};

}  // namespace

void start_libvirt_events() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::signal(SIGPIPE, SIG_IGN);  // a port may be closed while it is written to
    virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});  // errors are returned, not printed
    virEventRegisterDefaultImpl();
    std::thread([] {
      for (;;) {
        virEventRunDefaultImpl();
      }
    }).detach();
  });
}

Error libvirt_error(const std::string& what) {
  const virError* last = virGetLastError();
  const char* said =
      last == nullptr || last->message == nullptr ? "no reason given" : last->message;
  return Error{ErrorKind::tool_failed, what + ": " + said};
}

Result<UniqueFd> stream_as_socket(virConnectPtr connection,
                                  const std::function<int(virStreamPtr)>& open) {
  virStreamPtr stream = virStreamNew(connection, VIR_STREAM_NONBLOCK);
  if (stream == nullptr) {
    return libvirt_error("cannot make a stream");
  }
  std::array<int, 2> ends{};
  if (open(stream) < 0) {
    Error error = libvirt_error("cannot open a stream");
    virStreamFree(stream);
    return error;
  }
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    const int failure = errno;
    virStreamFree(stream);
    return system_error("cannot make a pair of sockets", failure);
  }
  UniqueFd ours(ends[0]);
  ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
  TRY(Pump::run(std::make_unique<Pump>(stream, UniqueFd(ends[1]))));
  return ours;
}

}  // namespace goldmill::launch
