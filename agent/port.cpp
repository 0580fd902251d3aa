// SPDX-License-Identifier: GPL-3.0-or-later
#include "port.hpp"

#include <algorithm>

#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "text.hpp"

namespace goldmill::agent {
namespace {

constexpr std::string_view kName = "org.goldmill.agent.0";
constexpr const char* kPorts = "/sys/class/virtio-ports";

/// "/dev/vport1p1", or "".
std::string find_device() {
  for (const std::string& name : names_in(kPorts)) {
    const auto label = read_file(std::string(kPorts) + "/" + name + "/name", 256);
    if (label && trimmed(label.value()) == kName) {
      return "/dev/" + name;
    }
  }
  return "";
}

}  // namespace

std::uint64_t uptime_ms() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1000000;
}

void Port::find() {
  const std::string device = find_device();
  if (!device.empty() && !file_) {
    file_ = Descriptor(open(device.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  }
}

bool Port::is_connected() const {
  pollfd request{.fd = file_.get(), .events = POLLIN | POLLOUT, .revents = 0};
  return file_ && poll(&request, 1, 0) >= 0 && (request.revents & (POLLHUP | POLLERR)) == 0;
}

std::string Port::receive() {
  std::string bytes(16384, '\0');
  const ssize_t count = read(file_.get(), bytes.data(), bytes.size());
  bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return bytes;
}

void Port::send(std::string& bytes) {
  while (!bytes.empty()) {
    const ssize_t count =
        write(file_.get(), bytes.data(), std::min<std::size_t>(bytes.size(), 4096));
    if (count <= 0) {
      return;
    }
    bytes.erase(0, static_cast<std::size_t>(count));
  }
}

void Port::signal_on_change(int signal) const {
  fcntl(file_.get(), F_SETSIG, signal);
  fcntl(file_.get(), F_SETOWN, getpid());
  fcntl(file_.get(), F_SETFL, O_NONBLOCK | O_ASYNC);
}

}  // namespace goldmill::agent
