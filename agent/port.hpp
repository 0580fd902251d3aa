// SPDX-License-Identifier: GPL-3.0-or-later
// Port: the virtio-serial port on which the launcher talks to the agent.
#pragma once

#include <string>

#include "files.hpp"

namespace goldmill::agent {

/// Monotonic milliseconds since the kernel started.
std::uint64_t uptime_ms();

class Port {
 public:
  /// Opens the port if the machine has it; otherwise is_open() is false.
  void find();
  bool is_open() const { return static_cast<bool>(file_); }
  int descriptor() const { return file_.get(); }
  /// Whether a host is on the other side.
  bool is_connected() const;
  /// What is there to read now; "" when nothing or when the host has gone.
  std::string receive();
  /// Sends what the host takes now and removes it from `bytes`.
  void send(std::string& bytes);
  /// A signal tells of bytes and of a host that comes or goes: poll(2) cannot wait for a host.
  void signal_on_change(int signal) const;

 private:
  Descriptor file_;
};

}  // namespace goldmill::agent
