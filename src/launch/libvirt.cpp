// SPDX-License-Identifier: GPL-3.0-or-later
// The libvirt engine: instances on hosts of their own, which `goldmill hosts` names. Their agents
// are met through libvirt's streams, so nothing but libvirt's connection is needed to reach a host.
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include <goldmill/launch/engine.hpp>
#include <goldmill/machine/agent_channel.hpp>
#include <goldmill/machine/ssh.hpp>
#include <goldmill/qcow2/chain.hpp>
#include <goldmill/system/side_by_side.hpp>

#include "greeting.hpp"
#include "host_file.hpp"
#include "libvirt_host.hpp"
#include "record.hpp"

namespace goldmill::launch {

namespace fs = std::filesystem;

namespace {
using Clock = std::chrono::steady_clock;
using machine::AgentChannel;
using machine::AgentReport;
using system::UniqueFd;

/// What an instance takes of its host's memory beside its own.
constexpr Bytes kForQemu = 64_MiB;
/// How many start at once for each processor of a host.
constexpr int kStartsForEachCpu = 2;

/// Hosts that answer, by name.
using Connections = std::map<std::string, LibvirtHost>;

class LibvirtEngine final : public Engine {
 public:
  explicit LibvirtEngine(const fs::path& home) : records_(home), hosts_(home) {}

  std::string_view name() const override { return "libvirt"; }
  std::string_view summary() const override {
    return "machines of libvirt, on this and other hosts";
  }

  Result<Fleet> launch(const LaunchRequest& request, const Progress& progress) override;
  Result<Warmth> warm(const LaunchRequest& /*request*/) override {
    return Error{ErrorKind::unavailable, "libvirt's instances boot: there is no snapshot to make"};
  }
  bool has(const std::string& instance) const override { return records_.has(instance, name()); }
  Result<std::vector<Instance>> list() override;
  Result<Instance> start(const std::string& instance) override;
  Result<void> stop(const std::string& instance, std::chrono::seconds limit) override;
  Result<void> remove(const std::string& instance) override;
  Result<UniqueFd> console(const std::string& instance) override;
  Result<machine::SshTarget> ssh_target(const std::string& instance) override;

 private:
  struct Found {
    Connections connections;
    std::vector<HostStatus> statuses;
    std::vector<std::string> warnings;  ///< of those that cannot be used
  };

  /// Connects to the hosts of these names, side by side.
  Result<Found> find_hosts(const std::vector<std::string>& names) const;
  Result<void> bring_image(const LibvirtHost& host, const LaunchRequest& request) const;
  Result<LibvirtHost> host_of(const Record& record) const;
  void start_all(const LaunchRequest& request,
                 const Found& found,
                 std::vector<Record>& records,
                 const std::function<void(const Record&)>& changed);
  void start_new(Record& record,
                 const LaunchRequest& request,
                 Bytes disk_size,
                 const LibvirtHost& host,
                 const std::function<void(const Record&)>& changed);
  void start_one(Record& record,
                 const LibvirtHost& host,
                 std::chrono::seconds limit,
                 const std::function<void(const Record&)>& changed);
  void fail(Record& record,
            const std::string& why,
            const std::function<void(const Record&)>& changed);
  Result<AgentReport> greet(Record& record, const LibvirtHost& host, std::chrono::seconds limit);
  void reconcile(Record& record, const LibvirtHost& host, const LookLimits& limits);
  void look_at(std::vector<Record>& records);
  void drop_over(std::vector<Record>& records) const;
  Result<void> remove_from(const LibvirtHost& host, const Record& record) const;
  void ask_agent(Record& record,
                 const LibvirtHost& host,
                 DomainState state,
                 const LookLimits& limits);

  Records records_;
  HostFiles hosts_;
};

Result<void> LibvirtEngine::bring_image(const LibvirtHost& host,
                                        const LaunchRequest& request) const {
  const auto guard = TRY(hosts_.lock(host.host().name));
  const auto chain = request.disk_format == "qcow2"
                         ? qcow2::chain_of(fs::absolute(request.disk))
                         : std::vector<fs::path>{fs::absolute(request.disk)};
  return host.bring(chain, [&](const std::string& file, Bytes size) {
    if (request.tell) {
      request.tell("sending " + file.substr(0, 12) + ", " + to_text(size) + ", to " +
                   host.host().name);
    }
  });
}

Result<LibvirtEngine::Found> LibvirtEngine::find_hosts(
    const std::vector<std::string>& names) const {
  const std::vector<Host> hosts = TRY(hosts_.chosen(names));
  Found found;
  found.statuses.resize(hosts.size());
  std::mutex one_at_a_time;
  system::side_by_side(hosts.size(), hosts.size(), [&](std::size_t i) {
    auto host = LibvirtHost::connect(hosts[i]);
    const auto capacity = host ? host->capacity() : Result<Capacity>(host.error());
    const std::lock_guard guard(one_at_a_time);
    found.statuses[i].host = hosts[i];
    if (!capacity) {
      found.warnings.push_back(capacity.error().text());
      return;
    }
    found.statuses[i].capacity = *capacity;
    found.connections.emplace(hosts[i].name, std::move(host).value());
  });
  if (found.connections.empty()) {
    return Error{
        ErrorKind::unavailable, found.warnings.front(), "goldmill hosts shows which answer"};
  }
  return found;
}

Result<AgentReport> LibvirtEngine::greet(Record& record,
                                         const LibvirtHost& host,
                                         std::chrono::seconds limit) {
  const auto key = TRY(machine::own_key(records_.home()));
  AgentChannel channel(TRY(host.start(record)));
  const auto lost = [&]() -> std::optional<Error> {
    const auto state = host.state(record);
    if (!state) {
      return state.error();
    }
    return *state == DomainState::off || *state == DomainState::absent
               ? std::optional(Error{ErrorKind::tool_failed, "its machine ended while it booted"})
               : std::nullopt;
  };
  auto next_look = Clock::now();
  const auto sometimes = [&]() -> std::optional<Error> {
    if (Clock::now() < next_look) {
      return std::nullopt;
    }
    next_look = Clock::now() + std::chrono::seconds(2);
    return lost();
  };
  auto report =
      channel.personalise(identity_of(record, key), {AgentChannel::Goal::ready, limit, sometimes});
  if (!report) {
    return lost().value_or(report.error());
  }
  return with_address(record, channel, std::move(report).value());
}

void LibvirtEngine::fail(Record& record,
                         const std::string& why,
                         const std::function<void(const Record&)>& changed) {
  set_failed(record, why);
  (void)records_.save(record);
  changed(record);
}

void LibvirtEngine::start_one(Record& record,
                              const LibvirtHost& host,
                              std::chrono::seconds limit,
                              const std::function<void(const Record&)>& changed) {
  const auto begin = Clock::now();
  record.instance.state = State::starting;
  record.instance.error.clear();
  record.instance.warnings.clear();
  (void)records_.save(record);
  changed(record);
  const auto report = greet(record, host, limit);
  if (!report) {
    (void)host.destroy(record);
    return fail(record, report.error().text(), changed);
  }
  take_report(record, *report);
  if (const auto whole = check_identity(*report); !whole) {
    (void)host.destroy(record);
    return fail(record, whole.error().text(), changed);
  }
  if (const auto look = host.look(record)) {
    note_run(record, look->run);
  }
  record.instance.ready_seconds = seconds_since(begin);
  if (const auto saved = records_.save(record); !saved) {
    (void)host.destroy(record);
    return fail(record, saved.error().text(), changed);
  }
  changed(record);
}

void LibvirtEngine::start_new(Record& record,
                              const LaunchRequest& request,
                              Bytes disk_size,
                              const LibvirtHost& host,
                              const std::function<void(const Record&)>& changed) {
  {
    const auto guard = records_.lock_to_launch(record);
    if (!guard) {
      return fail(record, guard.error().text(), changed);
    }
    const auto defined = host.define(record, disk_size);
    if (!defined) {
      return fail(record, defined.error().text(), changed);
    }
  }
  if (request.prepare_only) {
    changed(record);
  } else {
    start_one(record, host, request.ready_limit, changed);
  }
}

void LibvirtEngine::start_all(const LaunchRequest& request,
                              const Found& found,
                              std::vector<Record>& records,
                              const std::function<void(const Record&)>& changed) {
  const auto disk_size = disk_size_of(request);
  for (Record& record : records) {
    if (record.instance.state == State::failed) {
      changed(record);
    } else if (!disk_size) {
      fail(record, disk_size.error().text(), changed);
    } else if (record.instance.host.empty()) {
      fail(record, "no host has " + to_text(request.memory) + " of memory left", changed);
    }
  }
  system::side_by_side(found.statuses.size(), found.statuses.size(), [&](std::size_t host_index) {
    const HostStatus& status = found.statuses[host_index];
    std::vector<Record*> own;
    for (Record& record : records) {
      if (record.instance.host == status.host.name && record.instance.state != State::failed) {
        own.push_back(&record);
      }
    }
    if (own.empty()) {
      return;
    }
    const LibvirtHost& host = found.connections.at(status.host.name);
    if (const auto brought = bring_image(host, request); !brought) {
      for (Record* record : own) {
        fail(*record, brought.error().text(), changed);
      }
      return;
    }
    const int at_once = request.parallel > 0
                            ? request.parallel
                            : std::max(1, kStartsForEachCpu * status.capacity->cpus / request.cpus);
    system::side_by_side(own.size(), static_cast<std::size_t>(at_once), [&](std::size_t i) {
      start_new(*own[i], request, *disk_size, host, changed);
    });
  });
}

Result<Fleet> LibvirtEngine::launch(const LaunchRequest& request, const Progress& progress) {
  const auto begin = Clock::now();
  if (request.warm) {
    return Error{ErrorKind::invalid_input,
                 "libvirt's instances boot: --warm is for the qemu engine",
                 "leave --warm out"};
  }
  if (request.network.kind == Network::Kind::netns) {
    return Error{ErrorKind::invalid_input,
                 "--network " + request.network.text() + " is made by goldmill on this machine",
                 "give user, bridge=NAME or network=NAME"};
  }
  Found found = TRY(find_hosts(request.hosts));
  const Capacity each{Bytes{request.memory.value + kForQemu.value}, request.cpus};
  const auto placed = place(found.statuses, request.count, each);
  auto prepared = TRY(records_.prepare(request, {}, placed).context("while preparing the fleet"));
  start_all(request, found, prepared.records, [&progress](const Record& record) {
    progress(record.instance);
  });
  Fleet fleet;
  fleet.name = prepared.fleet;
  fleet.accelerator = "libvirt on " + std::to_string(found.connections.size()) + " host" +
                      (found.connections.size() == 1 ? "" : "s");
  fleet.warnings = std::move(found.warnings);
  for (Record& record : prepared.records) {
    fleet.instances.push_back(std::move(record.instance));
  }
  fleet.seconds = seconds_since(begin);
  return fleet;
}

Result<LibvirtHost> LibvirtEngine::host_of(const Record& record) const {
  const auto hosts = TRY(hosts_.chosen({record.instance.host}));
  return LibvirtHost::connect(hosts.front());
}

/// One that was started, by what its host says and, if need be, its agent.
void LibvirtEngine::reconcile(Record& record, const LibvirtHost& host, const LookLimits& limits) {
  if (records_.is_being_launched(record.instance.fleet)) {
    return;
  }
  const auto guard = records_.lock_until(limits.others, record);
  if (!guard) {
    return;
  }
  const auto look = host.look(record);
  if (!look) {
    record.instance.error = look.error().text();
    return;
  }
  const DomainState state = look->state;
  if (!should_run(record)) {
    if (state != DomainState::running) {
      return;
    }
    // Its host was lost for a while, or virsh has started it. One that has an identity keeps it,
    // though its agent may say that nobody gave it one at this boot.
    record.instance.state = record.instance.machine_id.empty() ? State::starting : State::ready;
    record.instance.error.clear();
  }
  note_run(record, look->run);
  if (state == DomainState::running || state == DomainState::paused) {
    ask_agent(record, host, state, limits);
  } else {
    record.instance.state = State::stopped;
    record.instance.error = state == DomainState::absent ? "its host has no such machine any more"
                                                         : "its machine was ended";
  }
  (void)records_.save(record);
}

/// Of one whose launcher died, or that had no address yet. One that somebody has paused stays so.
void LibvirtEngine::ask_agent(Record& record,
                              const LibvirtHost& host,
                              DomainState state,
                              const LookLimits& limits) {
  const bool unfinished = record.instance.state == State::starting;
  const bool addressless = record.network.is_shared() && record.instance.address.empty();
  if (!unfinished && (!addressless || state == DomainState::paused)) {
    return;
  }
  const auto key = machine::own_key(records_.home());
  auto port = state == DomainState::paused ? host.start(record) : host.agent_port(record);
  if (!key || !port) {
    return;  // the next look tries again
  }
  AgentChannel channel(std::move(port).value());
  if (!unfinished) {
    if (const auto report = channel.status(time_left(limits.guests))) {
      take_report(record, *report);
    }
  } else if (const auto objection = adopt(record, *key, channel, limits.guests)) {
    (void)host.destroy(record);
    record.instance.state = State::stopped;
    record.instance.error = objection->text();
  }
}

Result<std::vector<Instance>> LibvirtEngine::list() {
  std::map<std::string, std::vector<Record>> by_host;
  for (Record& record : TRY(records_.load_all(name()))) {
    by_host[record.instance.host].push_back(std::move(record));
  }
  std::vector<std::vector<Record>*> groups;
  groups.reserve(by_host.size());
  for (auto& [host, records] : by_host) {
    groups.push_back(&records);
  }
  system::side_by_side(groups.size(), groups.size(), [&](std::size_t i) { look_at(*groups[i]); });
  std::vector<Instance> instances;
  for (const auto* records : groups) {
    for (const Record& record : *records) {
      instances.push_back(record.instance);
    }
  }
  return instances;
}

void LibvirtEngine::drop_over(std::vector<Record>& records) const {
  std::erase_if(records, [this](const Record& record) {
    return is_over(record.instance) && records_.erase(record.instance.name);
  });
}

/// Those of one host, as they really are; those whose time is over go.
void LibvirtEngine::look_at(std::vector<Record>& records) {
  if (records.front().instance.host.empty()) {
    drop_over(records);  // no host had room for them: their own error stands
    return;
  }
  const auto host = host_of(records.front());
  const LookLimits limits;
  system::side_by_side(records.size(), kLooksAtOnce, [&](std::size_t i) {
    Record& record = records[i];
    if (!host) {
      record.instance.error = host.error().text();
    } else if (!is_over(record.instance) || !remove_from(*host, record)) {
      reconcile(record, *host, limits);
      record.instance.memory = host->memory(record);
      record.instance.uptime_seconds = uptime_of(record);
    }
  });
  std::erase_if(records, [this](const Record& record) { return !has(record.instance.name); });
}

Result<Instance> LibvirtEngine::start(const std::string& instance) {
  Record record = TRY(records_.load(instance));
  const auto guard = TRY(records_.lock_to_start(record));
  const auto absent = Error{ErrorKind::unavailable,
                            instance + " was never made on a host, or is gone from it",
                            "remove it and launch again: goldmill rm " + instance};
  if (record.instance.host.empty()) {
    return absent;
  }
  const LibvirtHost host = TRY(host_of(record));
  const DomainState state = TRY(host.state(record));
  if (state == DomainState::absent) {
    return absent;
  }
  if (state == DomainState::running) {
    return Error{ErrorKind::conflict, "it runs already"};
  }
  start_one(record, host, LaunchRequest{}.ready_limit, [](const Record&) {});
  return record.instance;
}

Result<void> LibvirtEngine::stop(const std::string& instance, std::chrono::seconds limit) {
  Record record = TRY(records_.load(instance));
  const auto guard = TRY(records_.lock_to_stop(record));
  if (record.instance.host.empty()) {
    return {};
  }
  const LibvirtHost host = TRY(host_of(record));
  const auto end = Clock::now() + limit;
  const auto runs = [&] {
    const auto state = host.state(record);
    return !state || *state == DomainState::running || *state == DomainState::paused;
  };
  if (TRY(host.state(record)) == DomainState::running) {
    auto port = host.agent_port(record);
    const bool asked =
        port && AgentChannel(std::move(port).value()).power_off(time_to_answer(limit));
    if (!asked) {
      (void)host.power_button(record);
    }
    while (runs() && Clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  }
  if (runs()) {
    TRY(host.destroy(record));
  }
  if (record.instance.state != State::prepared) {
    record.instance.state = State::stopped;
    record.instance.error.clear();
    note_run(record, std::nullopt);
  }
  return records_.save(record);
}

Result<void> LibvirtEngine::remove_from(const LibvirtHost& host, const Record& record) const {
  const auto guard = TRY(records_.lock(record.instance.name));
  TRY(host.remove(record));
  return records_.erase(record.instance.name);
}

Result<void> LibvirtEngine::remove(const std::string& instance) {
  const Record record = TRY(records_.load(instance));
  if (record.instance.host.empty()) {
    return records_.erase(instance);  // no host had room for it
  }
  return remove_from(TRY(host_of(record)), record);
}

Result<UniqueFd> LibvirtEngine::console(const std::string& instance) {
  const Record record = TRY(records_.load(instance));
  const LibvirtHost host = TRY(host_of(record));
  if (TRY(host.state(record)) != DomainState::running) {
    return Error{ErrorKind::unavailable, instance + " does not run", "goldmill ps shows what does"};
  }
  return host.console(record);
}

Result<machine::SshTarget> LibvirtEngine::ssh_target(const std::string& instance) {
  Record record = TRY(records_.load(instance));
  if (record.instance.address.empty() && record.network.is_shared()) {
    reconcile(record, TRY(host_of(record)), LookLimits());
  }
  if (record.instance.state != State::ready) {
    return Error{ErrorKind::unavailable, instance + " does not run", "goldmill ps shows what does"};
  }
  return ssh_target_of(record, records_);
}

}  // namespace

std::unique_ptr<Engine> make_libvirt(const fs::path& home) {
  return std::make_unique<LibvirtEngine>(home);
}

}  // namespace goldmill::launch
