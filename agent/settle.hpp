// SPDX-License-Identifier: GPL-3.0-or-later
// Settle: makes a booted guest quiet, and takes from it what no copy may share, before its state
// is saved.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "personalise.hpp"

namespace goldmill::agent {

/// What settle() changed, as it was before.
struct Parked {
  std::vector<std::string> units;                             ///< that ran
  std::vector<std::pair<std::string, std::string>> settings;  ///< files of the kernel's, contents
  std::string log_level;                                      ///< of PID 1; "": not known
};

/// Waits for the end of the boot; parks timers, the network's and the clock's keepers and what else
/// would keep a copy awake; the SSH server then starts with the first connection, the network's
/// keepers when D-Bus is asked for them, the journal with the first message. What a copy gets is
/// held in memory. Host keys, the credential secret, the random seed and journals go. Free memory
/// becomes zeros. What fails is told and does not stop the rest.
Parked settle(const Warn& warn);

/// From settle() on, until a copy has its identity, nothing else in it runs while the agent has
/// something to do: nothing draws a random number before the seed is in.
void run_before_others(bool before);

/// Makes it as it was before settle(). Timers draw their random delays anew.
void wake(const Parked& parked, const Warn& warn);

/// The network's keepers only: in a copy that was given no addresses.
void start_network(const Parked& parked, const Warn& warn);

}  // namespace goldmill::agent
