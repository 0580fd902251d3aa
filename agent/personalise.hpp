// SPDX-License-Identifier: GPL-3.0-or-later
// Personalise: puts an identity into force, on the running system or (tests) in a directory.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>

#include "files.hpp"
#include "identity.hpp"
#include "session.hpp"

namespace goldmill::agent {

/// Where what failed is told: an item of the protocol's `warning` and what happened. What
/// failed never stops the rest.
using Warn = std::function<void(std::string_view about, std::string_view message)>;

/// What programs read instead of the kernel's boot id, in a guest that was settled.
constexpr const char* kShownBootId = "/run/goldmill/boot-id";

/// A file for each user, which the SSH server reads (files/sshd.conf); made by the first identity.
constexpr const char* kAuthorizedKeys = "/etc/goldmill/authorized_keys";

class Personaliser {
 public:
  /// `root` is "" for the running system; otherwise the kernel's own settings stay untouched.
  Personaliser(std::string root, Warn warn) : root_(std::move(root)), warn_(std::move(warn)) {}

  /// Of one that resumes nothing is durable yet: hundreds at once must not wait for a disk, so that
  /// its files are held in memory.
  void apply(const Identity& identity);
  /// What is true now, read back from the system.
  About about() const;

  /// For systemd-networkd, when it starts.
  Result<void> write_networks(const std::vector<Network>& networks);

  /// Makes the SSH host key when it is missing or empty; keeps it otherwise. Nothing happens
  /// where there is no SSH server.
  Result<void> ensure_host_key();

 private:
  Result<void> add_seeds(const Identity& identity);
  Result<void> set_clock(std::uint64_t unix_ns) const;
  Result<void> renew_machine_id();
  Result<void> renew_boot_id();
  Result<void> set_mac(const Identity& identity) const;
  Result<void> set_hostname(const std::string& name);
  Result<void> write_keys(const Identity& identity);
  Result<void> use_network(const std::string& link, const Network& network) const;
  void attempt(std::string_view about, Result<void> result);
  std::string default_user() const;

  Result<void> write(const std::string& path, std::string_view content, mode_t mode) const;

  std::string root_;
  Warn warn_;
  bool resumes_ = false;
};

/// The text of a .network file for systemd-networkd.
std::string network_file(const Network& network);
/// /etc/hosts with its 127.0.1.1 line replaced (or added).
std::string hosts_with_name(std::string_view hosts, std::string_view name);

}  // namespace goldmill::agent
