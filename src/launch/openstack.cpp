// SPDX-License-Identifier: GPL-3.0-or-later
// The openstack engine: instances as servers of a cloud, made through Nova's API. They get name,
// keys and user-data from Nova's config drive; what Nova says of them is all that is known of them
// here.
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include <time.h>

#include <goldmill/launch/engine.hpp>
#include <goldmill/machine/overlay.hpp>
#include <goldmill/machine/ssh.hpp>
#include <goldmill/system/process.hpp>
#include <goldmill/system/side_by_side.hpp>

#include "greeting.hpp"
#include "openstack_fleet.hpp"
#include "openstack_images.hpp"
#include "openstack_project.hpp"
#include "record.hpp"

namespace goldmill::launch {

namespace fs = std::filesystem;

namespace {
using Clock = std::chrono::steady_clock;
using system::UniqueFd;

/// Nova stores 64 KiB of base64.
constexpr std::size_t kLongestUserData = 49149;
/// Less does not start a guest's kernel with its initramfs.
constexpr Bytes kLeastFlavorMemory = 192_MiB;
/// Nova ends a guest by itself when it does not shut down.
constexpr std::chrono::seconds kNovasOwnLimit(60);
constexpr std::chrono::seconds kRemovalLimit(180);

class OpenStackEngine final : public Engine {
 public:
  explicit OpenStackEngine(const fs::path& home) : records_(home) {}

  std::string_view name() const override { return "openstack"; }
  std::string_view summary() const override { return "servers of an OpenStack cloud"; }

  Result<Fleet> launch(const LaunchRequest& request, const Progress& progress) override;
  Result<Warmth> warm(const LaunchRequest& /*request*/) override {
    return Error{ErrorKind::unavailable, "a cloud's servers boot: there is no snapshot to make"};
  }
  bool has(const std::string& instance) const override { return records_.has(instance, name()); }
  Result<std::vector<Instance>> list() override;
  Result<Instance> start(const std::string& instance) override;
  Result<void> stop(const std::string& instance, std::chrono::seconds limit) override;
  Result<void> remove(const std::string& instance) override;
  Result<UniqueFd> console(const std::string& instance) override;
  Result<machine::SshTarget> ssh_target(const std::string& instance) override;

 private:
  /// Where and as what the instances of a launch come to be.
  struct Terms {
    ServerSpec spec;  ///< but its name and mark
    Flavor flavor;
    Room room;
  };
  Result<Terms> terms_of(const LaunchRequest& request, const CloudProject& project) const;
  Result<std::string> key_lines(const LaunchRequest& request, const CloudProject& project) const;
  Result<Records::Prepared> prepare(const LaunchRequest& request,
                                    const CloudProject& project,
                                    const Terms& terms);

  void drop_gone(std::vector<Record>& records) const;
  void remove_over(const std::vector<Record>& records);
  void look_at(std::vector<Record>& records);
  void reconcile(Record& record,
                 const std::optional<Server>& server,
                 const LookLimits& limits) const;
  Result<std::string> seen_host_key(const Record& record) const;

  Records records_;
};

Result<void> check_for_cloud(const LaunchRequest& request) {
  if (request.warm) {
    return Error{ErrorKind::invalid_input,
                 "a cloud's servers boot: --warm is for the qemu engine",
                 "leave --warm out"};
  }
  if (request.network.kind != Network::Kind::user &&
      request.network.kind != Network::Kind::network) {
    return Error{ErrorKind::invalid_input,
                 "a cloud has neither bridges nor networks of goldmill's own",
                 "name one of its networks: --network network=NAME"};
  }
  if (request.user_data.size() > kLongestUserData) {
    return Error{ErrorKind::invalid_input,
                 "the user-data is longer than the 48 KiB that Nova takes",
                 "let it fetch what it needs"};
  }
  if (!request.whole_disk) {
    return Error{ErrorKind::internal, "there is no disk to bring to the cloud"};
  }
  return {};
}

/// goldmill's own and those that the user names, each a line.
Result<std::string> OpenStackEngine::key_lines(const LaunchRequest& request,
                                               const CloudProject& project) const {
  std::string lines = TRY(machine::own_key(records_.home())).public_line;
  if (!request.key_pair.empty()) {
    lines += "\n" + TRY(project.public_key(request.key_pair));
  }
  for (const UserKey& key : request.keys) {
    lines += "\n" + key.line;
  }
  return lines;
}

Result<OpenStackEngine::Terms> OpenStackEngine::terms_of(const LaunchRequest& request,
                                                         const CloudProject& project) const {
  const Bytes disk = TRY(disk_size_of(request));
  const bool is_named = !request.flavor.empty();
  Terms terms;
  // What can be wrong is asked before anything is sent or made.
  terms.flavor = TRY(project.flavor({request.flavor,
                                     is_named ? kLeastFlavorMemory : request.memory,
                                     is_named ? 1 : request.cpus,
                                     disk}));
  terms.spec.flavor = terms.flavor.id;
  terms.spec.network = TRY(project.network(request.network.name));
  const std::string keys = TRY(key_lines(request, project));
  terms.room = TRY(project.room_for(terms.flavor));
  if (terms.room.servers == 0 && !request.prepare_only) {
    return Error{ErrorKind::unavailable,
                 "the quota of the project is used up: " + terms.room.limit,
                 "remove servers, or ask for a larger quota"};
  }
  terms.spec.key_pair = TRY(project.key_pair_of(keys));
  terms.spec.image = TRY(CloudImages(project.cloud(), records_.home())
                             .bring({"goldmill " + request.image,
                                     request.disk_digest,
                                     request.uefi,
                                     TRY(machine::virtual_size(request.disk, request.disk_format)),
                                     request.whole_disk},
                                    request.tell));
  return terms;
}

/// Records that say where each server is found, before any is asked for.
Result<Records::Prepared> OpenStackEngine::prepare(const LaunchRequest& request,
                                                   const CloudProject& project,
                                                   const Terms& terms) {
  LaunchRequest sized = request;
  sized.memory = terms.flavor.memory;
  sized.cpus = terms.flavor.cpus;
  sized.ssh_user = request.first_user;
  const std::vector<std::string> places(static_cast<std::size_t>(request.count),
                                        project.cloud().name());
  auto prepared = TRY(records_.prepare(sized, {}, places).context("while preparing the fleet"));
  std::int64_t left = terms.room.servers.value_or(request.count);
  for (Record& record : prepared.records) {
    if (record.instance.state == State::failed) {
      continue;
    }
    if (--left < 0 && !request.prepare_only) {
      set_failed(record, "the project's quota has no room for it: " + terms.room.limit);
    } else {
      note_terms(record, project.cloud(), terms.spec);
    }
    TRY(records_.save(record));
  }
  return prepared;
}

Result<Fleet> OpenStackEngine::launch(const LaunchRequest& request, const Progress& progress) {
  const auto begin = Clock::now();
  TRY(check_for_cloud(request));
  const CloudProject project(TRY(Cloud::open(request.cloud)));
  const Terms terms = TRY(terms_of(request, project));
  auto prepared = TRY(prepare(request, project, terms));
  Fleet fleet;
  fleet.name = prepared.fleet;
  fleet.accelerator =
      "flavour " + said_by(terms.flavor.name) + " of cloud " + project.cloud().name();
  if (terms.spec.network.empty()) {
    fleet.warnings.push_back("the project has no network: nothing reaches its instances");
  }
  if (request.prepare_only) {
    for (const Record& record : prepared.records) {
      progress(record.instance);
    }
  } else {
    FleetLaunch(project, records_, prepared.records, progress).run(request);
  }
  for (Record& record : prepared.records) {
    fleet.instances.push_back(std::move(record.instance));
  }
  fleet.seconds = seconds_since(begin);
  return fleet;
}

/// As Nova has it now, under the record's lock where that is news.
void OpenStackEngine::reconcile(Record& record,
                                const std::optional<Server>& server,
                                const LookLimits& limits) const {
  const auto update = [&server](Record& one) {
    const Json before = to_json(one);
    if (server) {
      take_server(one, *server);
    } else {
      take_absence(one);
    }
    return to_json(one) != before;
  };
  Record tried = record;
  if (!update(tried)) {
    return;
  }
  const auto guard = records_.lock_until(limits.others, record);
  if (guard && update(record)) {
    (void)records_.save(record);
  }
}

void OpenStackEngine::drop_gone(std::vector<Record>& records) const {
  std::erase_if(records, [this](const Record& record) { return !has(record.instance.name); });
}

/// Those whose time is over.
void OpenStackEngine::remove_over(const std::vector<Record>& records) {
  constexpr std::size_t kRemovedAtOnce = 16;
  system::side_by_side(records.size(), kRemovedAtOnce, [&](std::size_t i) {
    const Instance& instance = records[i].instance;
    if (is_over(instance) && !records_.is_being_launched(instance.fleet)) {
      (void)remove(instance.name);
    }
  });
}

/// Those of one cloud, as they really are.
void OpenStackEngine::look_at(std::vector<Record>& records) {
  const auto project = project_of(records.front());
  const auto servers =
      project ? project->servers("") : Result<std::vector<Server>>(project.error());
  const ServersByMark by_mark = servers ? by_marks(*servers) : ServersByMark();
  const LookLimits limits;
  remove_over(records);
  drop_gone(records);
  for (Record& record : records) {
    if (record.server.is_null() || records_.is_being_launched(record.instance.fleet)) {
      continue;
    }
    if (!servers) {
      record.instance.error = servers.error().text();
    } else if (const auto found = by_mark.find(record.domain); found != by_mark.end()) {
      reconcile(record, *found->second, limits);
    } else if (was_asked_for(record)) {  // its tags may be gone
      const auto alone = find_server(*project, record);
      if (alone) {
        reconcile(record, *alone, limits);
      } else {
        record.instance.error = alone.error().text();
      }
    }
    record.instance.uptime_seconds = uptime_of(record);
  }
  drop_gone(records);
}

Result<std::vector<Instance>> OpenStackEngine::list() {
  std::map<std::string, std::vector<Record>> by_project;
  for (Record& record : TRY(records_.load_all(name()))) {
    const std::string project = find_string(record.server, "project").value_or("");
    by_project[record.instance.host + " " + project].push_back(std::move(record));
  }
  std::vector<std::vector<Record>*> groups;
  groups.reserve(by_project.size());
  for (auto& [place, records] : by_project) {
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

Result<Instance> OpenStackEngine::start(const std::string& instance) {
  Record record = TRY(records_.load(instance));
  const auto guard = TRY(records_.lock_to_start(record));
  const Error absent{ErrorKind::unavailable,
                     instance + " was never made in the cloud, or is gone from it",
                     "remove it and launch again: goldmill rm " + instance};
  if (record.server.is_null()) {
    return absent;
  }
  const CloudProject project = TRY(project_of(record));
  const auto server = TRY(find_server(project, record));
  if (server && is_running(*server)) {
    return Error{ErrorKind::conflict, "it runs already"};
  }
  if (!server && was_asked_for(record)) {
    return absent;
  }
  const auto begin = Clock::now();
  if (server) {
    TRY(project.act(server->id, "os-start"));
    record.server["id"] = server->id;
  } else {
    TRY(ask_for(project, records_, record));
  }
  TRY(wait_until_running(project, records_, record, LaunchRequest{}.ready_limit));
  record.instance.ready_seconds = seconds_since(begin);
  TRY(records_.save(record));
  return record.instance;
}

Result<void> OpenStackEngine::stop(const std::string& instance, std::chrono::seconds limit) {
  Record record = TRY(records_.load(instance));
  const auto guard = TRY(records_.lock_to_stop(record));
  if (record.server.is_null()) {
    return {};
  }
  const CloudProject project = TRY(project_of(record));
  auto server = TRY(find_server(project, record));
  if (server && is_running(*server)) {
    TRY(project.act(server->id, "os-stop"));
    const auto end = Clock::now() + limit + kNovasOwnLimit;
    while (server && is_running(*server) && Clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      server = TRY(project.server(server->id));
    }
    if (server && is_running(*server)) {
      return Error{ErrorKind::unavailable, "Nova has not stopped " + instance + " in time"};
    }
  }
  if (server) {
    take_server(record, *server);
  } else {
    take_absence(record);
  }
  return records_.save(record);
}

Result<void> OpenStackEngine::remove(const std::string& instance) {
  Record record = TRY(records_.load(instance));
  const auto guard = TRY(records_.lock(record));
  if (record.server.is_null()) {
    return records_.erase(instance);  // no quota had room for it
  }
  const CloudProject project = TRY(project_of(record));
  auto servers = TRY(servers_of(project, record));
  // One that its launcher had just asked for when it died may be still to come.
  while (servers.empty() && may_still_come(record)) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    servers = TRY(servers_of(project, record));
  }
  for (const Server& server : servers) {
    TRY(project.remove(server.id));
  }
  const auto end = Clock::now() + kRemovalLimit;
  for (auto pause = std::chrono::milliseconds(250); !servers.empty(); pause *= 2) {
    if (Clock::now() > end) {
      const Server& left = servers.front();
      return Error{ErrorKind::unavailable,
                   "Nova has not removed " + instance + "; it says " + left.status +
                       (left.fault.empty() ? "" : ": " + left.fault),
                   "try again, or ask the cloud's administrator"};
    }
    std::this_thread::sleep_for(std::min(pause, std::chrono::milliseconds(4000)));
    servers = TRY(servers_of(project, record));
  }
  return records_.erase(instance);
}

/// What the guest has said so far: Nova has no way in.
Result<UniqueFd> OpenStackEngine::console(const std::string& instance) {
  const Record record = TRY(records_.load(instance));
  const CloudProject project = TRY(project_of(record));
  const auto server = TRY(find_server(project, record));
  if (!server || !is_running(*server)) {
    return Error{ErrorKind::unavailable, instance + " does not run", "goldmill ps shows what does"};
  }
  return system::memory_file(TRY(project.console_text(server->id)));
}

/// The one that the server shows when it is first reached: nobody but the guest could vouch for it.
Result<std::string> OpenStackEngine::seen_host_key(const Record& record) const {
  const auto output = TRY(system::process_runner().run(
      {.argv = {"ssh-keyscan", "-T", "3", "-t", "ed25519", record.instance.address},
       .limit = std::chrono::seconds(10)}));
  const std::size_t start = output.text.find("ssh-ed25519 ");
  const std::size_t end = output.text.find_first_of("\r\n", start);
  if (start == std::string::npos) {
    return Error{
        ErrorKind::unavailable,
        record.instance.name + " does not answer at " + record.instance.address + ", port 22",
        "does it still boot? do the project's security groups let SSH in, and does a route "
        "lead there?"};
  }
  return output.text.substr(start, end == std::string::npos ? end : end - start);
}

Result<machine::SshTarget> OpenStackEngine::ssh_target(const std::string& instance) {
  Record record = TRY(records_.load(instance));
  if (record.instance.address.empty() && !record.server.is_null()) {
    reconcile(record, TRY(find_server(TRY(project_of(record)), record)), LookLimits());
  }
  if (record.instance.state != State::ready) {
    return Error{ErrorKind::unavailable, instance + " does not run", "goldmill ps shows what does"};
  }
  if (record.instance.address.empty()) {
    return Error{ErrorKind::unavailable,
                 instance + " has no address",
                 "launch it into a network: --network network=NAME"};
  }
  if (record.instance.ssh_host_key.empty()) {
    const auto guard = TRY(records_.lock(record));
    record.instance.ssh_host_key = TRY(seen_host_key(record));
    TRY(records_.save(record));
  }
  return ssh_target_of(record, records_);
}

}  // namespace

std::unique_ptr<Engine> make_openstack(const fs::path& home) {
  return std::make_unique<OpenStackEngine>(home);
}

}  // namespace goldmill::launch
