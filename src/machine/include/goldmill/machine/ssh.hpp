// SPDX-License-Identifier: GPL-3.0-or-later
// Ssh: commands inside a running guest, by the OpenSSH client with a pinned host key.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::machine {

struct KeyPair {
  std::filesystem::path private_key;
  std::string public_line;  ///< "ssh-ed25519 AAAA... goldmill"
};

/// The key under `home`/ssh, made on first use; two goldmills at once get the same one.
Result<KeyPair> own_key(const std::filesystem::path& home);

struct SshTarget {
  std::string address = "127.0.0.1";
  std::uint16_t port = 22;
  std::string user = "root";
  std::filesystem::path private_key;
  std::string host_key;             ///< "ssh-ed25519 AAAA...", as the agent reported it
  std::filesystem::path directory;  ///< private; gets known_hosts and the control socket
  std::string proxy;                ///< a shell command that connects; "": by TCP from here
};

/// Writes known_hosts into the target's directory, for ssh_arguments and Ssh.
Result<void> pin_host_key(const SshTarget& target);

/// The whole command line up to and with user@address; add "--" and a command, or nothing.
std::vector<std::string> ssh_arguments(const SshTarget& target);

/// One connection shared by many commands; closed when its owner goes.
class Ssh {
 public:
  /// Errors: corrupt (the host key is another), unavailable (no connection within the limit).
  static Result<Ssh> connect(system::ProcessRunner& runner,
                             SshTarget target,
                             std::chrono::milliseconds limit);
  Ssh(Ssh&& other) noexcept;
  Ssh& operator=(Ssh&&) = delete;
  ~Ssh();

  /// Runs a shell command line in the guest. A non-zero status is no Error. Output is the
  /// guest's: hostile, at most 16 MiB a stream.
  Result<system::Output> run(const std::string& command,
                             std::chrono::milliseconds limit = std::chrono::minutes(2)) const;

 private:
  Ssh(system::ProcessRunner& runner, SshTarget target)
      : runner_(&runner), target_(std::move(target)) {}
  system::ProcessRunner* runner_;
  SshTarget target_;
};

}  // namespace goldmill::machine
