// SPDX-License-Identifier: GPL-3.0-or-later
// Greeting: what a launcher tells a guest's agent, and what it learns from its report.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include <goldmill/machine/agent_channel.hpp>
#include <goldmill/machine/ssh.hpp>

#include "record.hpp"

namespace goldmill::launch {

/// Until when who only looks waits, for all instances together.
struct LookLimits {
  /// For what others start or stop at the moment.
  std::chrono::steady_clock::time_point others =
      std::chrono::steady_clock::now() + std::chrono::seconds(2);
  /// For guests that have something to say: one on a busy machine takes seconds to notice that
  /// somebody is there, and boots as nobody when nobody stays.
  std::chrono::steady_clock::time_point guests =
      std::chrono::steady_clock::now() + std::chrono::seconds(5);
};
/// At least a moment for each: those before it may have used up all of it.
inline std::chrono::milliseconds time_left(std::chrono::steady_clock::time_point end) {
  const auto left = end - std::chrono::steady_clock::now();
  return std::max(std::chrono::duration_cast<std::chrono::milliseconds>(left),
                  std::chrono::milliseconds(500));
}
/// How long an agent may take to say that its guest powers off, before its button is pressed.
inline std::chrono::milliseconds time_to_answer(std::chrono::seconds limit_to_stop) {
  return std::min<std::chrono::milliseconds>(limit_to_stop / 2, std::chrono::seconds(30));
}
/// How many are looked at side by side: it is waiting, more than work.
inline constexpr std::size_t kLooksAtOnce = 64;

/// With a fresh seed and goldmill's own key.
machine::Identity identity_of(const Record& record, const machine::KeyPair& own);

/// That no step failed without which it is not who it is to be: a copy would be like any other of
/// its snapshot, and one that booted could not be entered. Errors: tool_failed, with the step.
Result<void> check_identity(const machine::AgentReport& report);

/// What the guest said of itself goes into the record, as far as it is the guest's to say: its name
/// is not, nor an address that it cannot have.
void take_report(Record& record, const machine::AgentReport& report);

/// The report of a ready guest, where it has an address of its own once it has got it; without one
/// when none came within a minute and a half: it is asked again by `ps` and `ssh`.
Result<machine::AgentReport> with_address(const Record& record,
                                          machine::AgentChannel& channel,
                                          machine::AgentReport report);

/// One whose launcher died before it was ready: gets its identity if it still waits for it, and
/// says how far it came. Why it has to end, when it went on without one: nobody can enter it.
std::optional<Error> adopt(Record& record,
                           const machine::KeyPair& own,
                           machine::AgentChannel& channel,
                           std::chrono::steady_clock::time_point end);

/// How its SSH server is reached. Errors: unavailable (it has none, or no address).
Result<machine::SshTarget> ssh_target_of(const Record& record, const Records& records);

}  // namespace goldmill::launch
