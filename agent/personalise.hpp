// SPDX-License-Identifier: GPL-3.0-or-later
// Personalise: puts an identity into force, on the running system or (tests) in a directory.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <goldmill/base/result.hpp>

#include "identity.hpp"
#include "session.hpp"

namespace goldmill::agent {

/// Where what failed is told: an item of the protocol's `warning` and what happened. What
/// failed never stops the rest.
using Warn = std::function<void(std::string_view about, std::string_view message)>;

class Personaliser {
 public:
  /// `root` is "" for the running system; otherwise the kernel's own settings stay untouched.
  Personaliser(std::string root, Warn warn) : root_(std::move(root)), warn_(std::move(warn)) {}

  void apply(const Identity& identity);
  /// What is true now, read back from the system.
  About about() const;

  /// Makes the SSH host key when it is missing or empty; keeps it otherwise. Nothing happens
  /// where there is no SSH server.
  Result<void> ensure_host_key();

 private:
  Result<void> add_seeds(const Identity& identity);
  Result<void> set_hostname(const std::string& name);
  Result<void> write_keys(const Identity& identity);
  Result<void> write_networks(const Identity& identity);
  void attempt(std::string_view about, Result<void> result);
  std::string default_user() const;

  std::string root_;
  Warn warn_;
};

/// The text of a .network file for systemd-networkd.
std::string network_file(const Network& network);
/// /etc/hosts with its 127.0.1.1 line replaced (or added).
std::string hosts_with_name(std::string_view hosts, std::string_view name);

}  // namespace goldmill::agent
