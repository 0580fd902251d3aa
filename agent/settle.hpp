// SPDX-License-Identifier: GPL-3.0-or-later
// Settle: makes a booted guest quiet, and takes from it what no copy may share, before its state
// is saved.
#pragma once

#include "personalise.hpp"

namespace goldmill::agent {

/// Waits for the end of the boot; parks timers and what would keep a copy awake; the SSH server
/// then starts with the first connection, the journal with the first message. Host keys, the
/// credential secret, the random seed and journals go. Free memory becomes zeros. What fails is
/// told and does not stop the rest.
void settle(const Warn& warn);

/// From settle() on, until a copy has its identity, nothing else in it runs while the agent has
/// something to do: nothing draws a random number before the seed is in.
void run_before_others(bool before);

/// Starts again what settle() parked and what runs without being asked: timers, consoles, the
/// clock's keeper. Timers draw their random delays anew.
void wake(const Warn& warn);

}  // namespace goldmill::agent
