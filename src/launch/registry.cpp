// SPDX-License-Identifier: GPL-3.0-or-later
// The list of engines, and the free functions that find the engine of an instance.
#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/launch/engine.hpp>
#include <goldmill/machine/agent_channel.hpp>
#include <goldmill/machine/ssh.hpp>
#include <goldmill/system/side_by_side.hpp>

#include "expiry.hpp"
#include "lan_worker.hpp"
#include "record.hpp"
#include "tcp.hpp"

namespace goldmill::launch {

namespace fs = std::filesystem;

#define ENGINE(name) std::unique_ptr<Engine> make_##name(const fs::path& home);
#include "engines.def"
#undef ENGINE

std::vector<std::unique_ptr<Engine>> make_engines(const fs::path& home) {
  std::vector<std::unique_ptr<Engine>> engines;
#define ENGINE(name) engines.push_back(make_##name(home));
#include "engines.def"
#undef ENGINE
  return engines;
}

std::vector<std::string> engine_names() {
  std::vector<std::string> names;
#define ENGINE(name) names.emplace_back(#name);
#include "engines.def"
#undef ENGINE
  return names;
}

Result<std::unique_ptr<Engine>> make_engine(std::string_view name, const fs::path& home) {
  for (auto& engine : make_engines(home)) {
    if (engine->name() == name) {
      return std::move(engine);
    }
  }
  return Error{ErrorKind::invalid_input,
               "there is no engine '" + std::string(name) + "'",
               did_you_mean(name, engine_names())};
}

namespace {
/// What no instance could take is said before any is made.
Result<void> check_keys(const std::vector<UserKey>& keys) {
  constexpr std::size_t kMost = machine::kMostSshKeys - 1;  // beside goldmill's own
  if (keys.size() > kMost) {
    return Error{ErrorKind::invalid_input,
                 "these are " + std::to_string(keys.size()) + " SSH keys, and an instance takes " +
                     std::to_string(kMost),
                 "give fewer, and let cloud-config or a step of the recipe bring the others"};
  }
  return {};
}
}  // namespace

Result<Fleet> launch(const fs::path& home, const LaunchRequest& request, const Progress& progress) {
  TRY(check_keys(request.keys));
  const auto engine = TRY(make_engine(request.engine, home));
  std::mutex one_at_a_time;
  std::optional<Result<void>> watched;
  // As soon as there is something that will be over, in case that we are killed.
  const auto watch = [&](const Instance& instance) {
    if (instance.expires && !watched) {
      watched = end_in_time(home, instance.fleet, *instance.expires);
    }
  };
  Fleet fleet = TRY(engine->launch(request, [&](const Instance& instance) {
    const std::lock_guard guard(one_at_a_time);
    watch(instance);
    if (progress) {
      progress(instance);
    }
  }));
  std::for_each(fleet.instances.begin(), fleet.instances.end(), watch);
  if (watched && !*watched) {
    fleet.warnings.push_back("the fleet is removed by the next command after its time: " +
                             watched->error().text());
  }
  return fleet;
}

Result<Warmth> warm(const fs::path& home, const LaunchRequest& request) {
  const auto engine = TRY(make_engine(request.engine, home));
  return engine->warm(request);
}

Result<std::vector<Instance>> list(const fs::path& home) {
  std::vector<Instance> all;
  for (const auto& engine : make_engines(home)) {
    for (Instance& instance : TRY(engine->list())) {
      all.push_back(std::move(instance));
    }
  }
  return all;
}

std::vector<Instance> recorded(const fs::path& home) {
  std::vector<Instance> all;
  for (Record& record : Records(home).read_all()) {
    all.push_back(std::move(record.instance));
  }
  return all;
}

namespace {
Result<std::unique_ptr<Engine>> engine_of(const fs::path& home, const std::string& name) {
  for (auto& engine : make_engines(home)) {
    if (engine->has(name)) {
      return std::move(engine);
    }
  }
  std::vector<std::string> known;
  for (const Instance& instance : recorded(home)) {
    known.push_back(instance.name);
  }
  return Error{ErrorKind::not_found,
               "there is no instance '" + name + "'",
               known.empty() ? "nothing is launched" : did_you_mean(name, known)};
}
}  // namespace

Result<Instance> start(const fs::path& home, const std::string& name) {
  const auto engine = TRY(engine_of(home, name));
  return engine->start(name);
}

Result<void> stop(const fs::path& home, const std::string& name, std::chrono::seconds limit) {
  const auto engine = TRY(engine_of(home, name));
  return engine->stop(name, limit);
}

namespace {
/// Does it with each, in its own time, and tells what became of it.
template <typename Job, typename Told>
void do_all(const std::vector<std::string>& names,
            std::size_t most,
            const Job& job,
            const Told& told) {
  std::mutex one_at_a_time;
  system::side_by_side(names.size(), most, [&](std::size_t i) {
    const auto outcome = job(names[i]);
    const std::lock_guard guard(one_at_a_time);
    told(names[i], outcome);
  });
}

/// A guest that shuts down waits more than it works; one that starts does both.
std::size_t at_once(int for_each_core) {
  return static_cast<std::size_t>(for_each_core) *
         std::max(1U, std::thread::hardware_concurrency());
}
}  // namespace

void start(const fs::path& home,
           const std::vector<std::string>& names,
           int parallel,
           const Started& started) {
  const std::size_t most = parallel > 0 ? static_cast<std::size_t>(parallel) : at_once(2);
  do_all(
      names, most, [&](const std::string& name) { return start(home, name); }, started);
}

void stop(const fs::path& home,
          const std::vector<std::string>& names,
          std::chrono::seconds limit,
          const Stopped& stopped) {
  do_all(
      names, at_once(4), [&](const std::string& name) { return stop(home, name, limit); }, stopped);
}

void remove(const fs::path& home, const std::vector<std::string>& names, const Removed& removed) {
  do_all(
      names, at_once(4), [&](const std::string& name) { return remove(home, name); }, removed);
}

Result<void> remove(const fs::path& home, const std::string& name) {
  const auto engine = TRY(engine_of(home, name));
  return engine->remove(name);
}

Result<std::vector<std::string>> expand(const fs::path& home, const std::string& fleet_or_name) {
  std::vector<std::string> names;
  std::set<std::string> known;
  for (const Instance& instance : recorded(home)) {
    if (instance.name == fleet_or_name || instance.fleet == fleet_or_name) {
      names.push_back(instance.name);
    }
    known.insert(instance.name);
    known.insert(instance.fleet);
  }
  if (names.empty()) {
    return Error{ErrorKind::not_found,
                 "there is no instance or fleet '" + fleet_or_name + "'",
                 known.empty() ? "nothing is launched"
                               : did_you_mean(fleet_or_name, {known.begin(), known.end()})};
  }
  return names;
}

Result<system::UniqueFd> console(const fs::path& home, const std::string& name) {
  const auto engine = TRY(engine_of(home, name));
  return engine->console(name);
}

Result<SshAccess> ssh_access(const fs::path& home, const std::string& name) {
  const auto engine = TRY(engine_of(home, name));
  const machine::SshTarget target = TRY(engine->ssh_target(name));
  return SshAccess{target.address,
                   target.port,
                   target.user,
                   target.private_key,
                   target.directory / "known_hosts",
                   target.proxy};
}

Result<std::vector<std::string>> ssh_arguments(const fs::path& home, const std::string& name) {
  const auto engine = TRY(engine_of(home, name));
  return machine::ssh_arguments(TRY(engine->ssh_target(name)));
}

Result<system::UniqueFd> Engine::connect(const std::string& instance, std::uint16_t port) {
  const machine::SshTarget target = TRY(ssh_target(instance));
  if (port != kSshPort && target.port != kSshPort) {
    return Error{ErrorKind::unavailable,
                 "of " + instance + " only the SSH port is reached from here",
                 "launch it with --network netns or bridge=NAME, or use ssh's -L"};
  }
  return connect_tcp({}, target.address, port == kSshPort ? target.port : port);
}

Result<system::UniqueFd> connect(const fs::path& home,
                                 const std::string& name,
                                 std::uint16_t port) {
  const auto engine = TRY(engine_of(home, name));
  return engine->connect(name, port);
}

std::span<const system::WorkerEntry> workers() {
  static const std::array kWorkers = {lan_worker(), expiry_worker()};
  return kWorkers;
}

}  // namespace goldmill::launch
