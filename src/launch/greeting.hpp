// SPDX-License-Identifier: GPL-3.0-or-later
// Greeting: what a launcher tells a guest's agent, and what it learns from its report.
#pragma once

#include <chrono>

#include <goldmill/machine/agent_channel.hpp>
#include <goldmill/machine/ssh.hpp>

#include "record.hpp"

namespace goldmill::launch {

/// How long `ps` listens to a guest whose launcher was killed: one on a busy machine takes seconds
/// to notice that somebody is there, and boots as nobody when nobody stays.
inline constexpr std::chrono::milliseconds kAdoptionLimit(5000);
/// Until when who only looks waits for all that others start or stop at the moment.
inline std::chrono::steady_clock::time_point end_of_patience() {
  return std::chrono::steady_clock::now() + std::chrono::seconds(2);
}

/// With a fresh seed and goldmill's own key.
machine::Identity identity_of(const Record& record, const machine::KeyPair& own);

/// What the guest said of itself goes into the record.
void take_report(Record& record, const machine::AgentReport& report);

/// The report of a ready guest, where it has an address of its own once it has got it; without one
/// when none came within half a minute: it is asked again by `ps` and `ssh`.
Result<machine::AgentReport> with_address(const Record& record,
                                          machine::AgentChannel& channel,
                                          machine::AgentReport report);

/// One whose launcher died before it was ready: gets its identity if it still waits for it, and
/// says how far it came. False when it went on without one: nobody can enter it.
bool adopt(Record& record, const machine::KeyPair& own, machine::AgentChannel& channel);

/// How its SSH server is reached. Errors: unavailable (it has none, or no address).
Result<machine::SshTarget> ssh_target_of(const Record& record, const Records& records);

}  // namespace goldmill::launch
