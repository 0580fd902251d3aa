// SPDX-License-Identifier: GPL-3.0-or-later
// Workers: jobs that run in a process of their own, made by executing this program again.
// Two reasons: libraries with global state (libapt) start clean, and work on guest files runs
// as the guest's root in a user namespace, never with the caller's rights.
//
// Talk: the request is JSON on descriptor 3; answers are JSON lines on descriptor 4, any number
// of {"event": ...} and then {"result": ...} or {"error": {...}}. Descriptors of the caller's
// `hands` follow from 10 on, in order. Descriptor 5 is the lifeline: it reads EOF when the
// caller has died, and the worker then ends at once.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::system {

/// The ids that stand for a guest's 0..65535 on this machine, disjoint from the machine's own.
struct IdRange {
  std::uint32_t first = 0;
  static constexpr std::uint32_t kCount = 65536;
};

/// As root a reserved range; as a plain user the subordinate ids of /etc/subuid and /etc/subgid.
/// Errors: unavailable, with the usermod command that helps.
struct GuestIds {
  IdRange users;
  IdRange groups;
  static Result<GuestIds> find();
};

/// What a worker sees of its caller.
class WorkerContext {
 public:
  const Json& request() const { return request_; }
  /// The caller's `hands[index]`.
  int hand(std::size_t index) const { return first_hand_ + static_cast<int>(index); }
  void send_event(const Json& event);
  /// Goes on as another worker of the program, in this process: its hands start at our
  /// hand(`first_hand`). For a worker that only prepares a place for others.
  Result<Json> become_other(std::string_view name, Json request, std::size_t first_hand);

  WorkerContext(Json request, int answers, int first_hand = 10)
      : request_(std::move(request)), answers_(answers), first_hand_(first_hand) {}

 private:
  Json request_;
  int answers_;
  int first_hand_;
};

using WorkerMain = Result<Json> (*)(WorkerContext& context);
struct WorkerEntry {
  std::string_view name;
  WorkerMain main;
};

enum class Confinement {
  none,       ///< the caller's rights; only a process of its own
  guest_ids,  ///< root of a user namespace with GuestIds, and a mount namespace of its own
  /// As guest_ids, and as PID 1 of new pid, ipc, uts and network namespaces: when it ends,
  /// everything that it started ends.
  sandbox,
  /// As sandbox, but in the caller's network namespace.
  sandbox_with_network,
};

struct WorkerJob {
  std::string name = {};
  Json request = Json::object();
  Confinement confinement = Confinement::none;
  /// Handed over as descriptors 10, 11, ...; needed because guest ids cannot open the caller's
  /// paths: work through openat on these. Directories and O_PATH files are opened again in the
  /// worker's mount namespace, so that it can mount and bind them.
  std::vector<int> hands = {};
  std::function<void(const Json& event)> on_event = {};
  /// Where the worker's own standard output and error go; inherited when -1.
  int output = -1;
  /// Asked between answers: true ends the worker (cancelled).
  std::function<bool()> is_cancelled = {};
};

/// Runs the job to its end. Errors: the worker's own; tool_failed when it died without answer.
/// Nothing that it started outlives this call.
Result<Json> run_worker(const WorkerJob& job);

/// Starts a worker that goes on when we have ended, and returns at its first event, by which it
/// says that it is up. It must know by itself when its work is done: nobody else ends it. Errors:
/// the worker's own, before it was up.
Result<void> start_service(const WorkerJob& job);

/// Of a worker in a sandbox: a /proc that shows its namespaces and an empty /tmp of 64 MiB; nothing
/// that it writes there outlives it.
Result<void> mount_private_places();

/// First thing in main(): when this process was started as a worker, runs it and exits. A pipe
/// whose reader has gone is an error of its writer from now on, never a signal: neither a launch
/// nor a worker ends half way for it.
void become_worker_if_asked(int argc, char** argv, std::span<const WorkerEntry> workers);

}  // namespace goldmill::system
