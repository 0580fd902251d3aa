// SPDX-License-Identifier: GPL-3.0-or-later
#include "openstack_fleet.hpp"

#include <algorithm>
#include <array>
#include <thread>

#include <time.h>

#include <goldmill/system/http.hpp>
#include <goldmill/system/side_by_side.hpp>

namespace goldmill::launch {

namespace {
/// How long Nova may take to show a server once it has been asked for it.
constexpr std::int64_t kGraceSeconds = 30;
/// How long the request itself may take.
constexpr std::int64_t kRequestSeconds = system::kHttpLimit.count();
/// Requests at once: Nova's API gets no quicker by more.
constexpr int kRequestsAtOnce = 8;
constexpr std::chrono::seconds kBetweenLooks(1);
constexpr std::chrono::seconds kLongestBetweenLooks(15);
/// A cloud that is busy with the fleet tells of all of it for many seconds: most looks ask only for
/// what changed, and each waits twice as long as the one before took.
constexpr int kLooksUntilAll = 10;
constexpr int kMostAsks = 2;

std::string noted(const Record& record, const char* what) {
  return find_string(record.server, what).value_or("");
}

std::int64_t asks_of(const Record& record) {
  return find_integer(record.server, "asks").value_or(0);
}

bool is_gone(const Server& server) {
  return server.status == "DELETED" || server.status == "SOFT_DELETED";
}

ServerSpec spec_of(const Record& record) {
  return {record.instance.name,
          record.instance.fleet,
          record.domain,
          noted(record, "image"),
          noted(record, "flavor"),
          noted(record, "network"),
          noted(record, "key_pair"),
          record.user_data};
}
}  // namespace

void note_terms(Record& record, const Cloud& cloud, const ServerSpec& terms) {
  record.server = {{"project", cloud.project()},
                   {"auth_url", cloud.auth_url()},
                   {"image", terms.image},
                   {"flavor", terms.flavor},
                   {"network", terms.network},
                   {"key_pair", terms.key_pair}};
}

bool was_asked_for(const Record& record) {
  return find_value(record.server, "asked") != nullptr;
}

bool may_still_come(const Record& record) {
  const auto asked = find_integer(record.server, "asked");
  if (!asked || !noted(record, "id").empty()) {
    return false;
  }
  const bool has_ended = !noted(record, "doubt").empty();
  const std::int64_t passed = ::time(nullptr) - *asked;
  return passed >= 0 && passed < kGraceSeconds + (has_ended ? 0 : kRequestSeconds);
}

Result<CloudProject> project_of(const Record& record) {
  const auto cloud = TRY(Cloud::open(record.instance.host));
  if (cloud->project() != noted(record, "project") ||
      cloud->auth_url() != noted(record, "auth_url")) {
    return Error{
        ErrorKind::conflict,
        record.instance.name + " is in another project than that of the credentials of '" +
            record.instance.host + "'",
        "it is in project " + noted(record, "project") + " at " + noted(record, "auth_url")};
  }
  return CloudProject(cloud);
}

namespace {
Result<std::vector<Server>> with_mark(const CloudProject& project, const Record& record) {
  std::vector<Server> servers = TRY(project.servers(record.instance.fleet));
  std::erase_if(servers, [&record](const Server& server) {
    return server.mark != record.domain || is_gone(server);
  });
  return servers;
}
}  // namespace

Result<std::optional<Server>> find_server(const CloudProject& project, const Record& record) {
  if (const std::string id = noted(record, "id"); is_cloud_id(id)) {
    auto server = TRY(project.server(id));
    return server && is_gone(*server) ? std::nullopt : std::move(server);
  }
  const std::vector<Server> servers = TRY(with_mark(project, record));
  return servers.empty() ? std::nullopt : std::optional(servers.front());
}

Result<std::vector<Server>> servers_of(const CloudProject& project, const Record& record) {
  const bool is_known = is_cloud_id(noted(record, "id"));
  std::vector<Server> servers;
  if (!is_known || asks_of(record) > 1) {
    servers = TRY(with_mark(project, record));
  }
  const auto known = is_known ? TRY(find_server(project, record)) : std::nullopt;
  const auto is_same = [&known](const Server& server) { return server.id == known->id; };
  if (known && std::none_of(servers.begin(), servers.end(), is_same)) {
    servers.push_back(*known);
  }
  return servers;
}

std::string minute_before(const std::string& time) {
  tm parts{};
  const char* end = ::strptime(time.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') {
    return "";
  }
  const time_t before = ::timegm(&parts) - 60;
  std::array<char, 32> text{};
  return ::gmtime_r(&before, &parts) != nullptr &&
                 std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts) > 0
             ? text.data()
             : "";
}

bool is_running(const Server& server) {
  // Nova's words for servers whose guest runs, if not always undisturbed.
  for (const char* word : {"ACTIVE",
                           "REBOOT",
                           "HARD_REBOOT",
                           "PASSWORD",
                           "RESIZE",
                           "VERIFY_RESIZE",
                           "MIGRATING",
                           "REVERT_RESIZE"}) {
    if (server.status == word) {
      return true;
    }
  }
  return false;
}

ServersByMark by_marks(const std::vector<Server>& servers) {
  ServersByMark by_mark;
  for (const Server& server : servers) {
    if (!is_gone(server)) {
      by_mark[server.mark] = &server;
    }
  }
  return by_mark;
}

void take_server(Record& record, const Server& server) {
  Instance& instance = record.instance;
  record.server["id"] = server.id;
  if (!server.address.empty()) {
    instance.address = server.address;
  }
  instance.error.clear();
  const bool runs = is_running(server);
  note_run(record, runs ? std::optional<std::int64_t>(0) : std::nullopt);
  if (runs) {
    instance.state = State::ready;
  } else if (server.status == "BUILD" || server.status == "REBUILD") {
    instance.state = State::starting;
  } else if (server.status == "SHUTOFF") {
    instance.state = State::stopped;
  } else if (server.status == "ERROR") {
    instance.state = State::failed;
    instance.error = server.fault.empty() ? "Nova says ERROR, and not why" : server.fault;
  } else {
    instance.state = State::stopped;
    instance.error = "Nova says " + server.status;
  }
}

void take_absence(Record& record) {
  Instance& instance = record.instance;
  if (!was_asked_for(record) || may_still_come(record) || instance.state == State::failed) {
    return;
  }
  note_run(record, std::nullopt);
  instance.state = State::stopped;
  instance.error = noted(record, "id").empty()
                       ? "goldmill ended before Nova had taken the request for it"
                       : "the cloud has no such server any more";
}

Result<void> ask_for(const CloudProject& project, const Records& records, Record& record) {
  record.instance.state = State::starting;
  record.instance.error.clear();
  record.server["asked"] = ::time(nullptr);
  record.server["asks"] = asks_of(record) + 1;
  record.server.erase("doubt");
  TRY(records.save(record));
  CloudProject::Created created = project.create(spec_of(record));
  if (created.refused) {
    record.server.erase("asked");
    record.server["asks"] = asks_of(record) - 1;
    set_failed(record, created.refused->text());
    (void)records.save(record);
    return *std::move(created.refused);
  }
  if (created.id.empty()) {
    record.server["asked"] = ::time(nullptr);
    record.server["doubt"] = created.doubt;
  } else {
    record.server["id"] = created.id;
  }
  return records.save(record);
}

Result<void> wait_until_running(const CloudProject& project,
                                const Records& records,
                                Record& record,
                                std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < end) {
    const auto server = TRY(find_server(project, record));
    if (server) {
      take_server(record, *server);
      if (is_running(*server) || record.instance.state == State::failed) {
        break;
      }
    } else if (!may_still_come(record)) {
      break;
    }
    std::this_thread::sleep_for(kBetweenLooks);
  }
  TRY(records.save(record));
  if (record.instance.state == State::ready) {
    return {};
  }
  const std::string& why = record.instance.error;
  return Error{ErrorKind::unavailable,
               record.instance.name +
                   " does not run: " + (why.empty() ? "Nova has not started it in time" : why)};
}

void FleetLaunch::fail(Record& record, const std::string& why) {
  set_failed(record, why);
  (void)records_.save(record);
  progress_(record.instance);
}

void FleetLaunch::ask(std::size_t index) {
  // The thread that watches takes this one up only once it has been asked for.
  Record& record = fleet_[index];
  const auto begin = Clock::now();
  if (request(record)) {
    const std::lock_guard lock(mutex_);
    asked_[index] = {begin, Clock::now()};
  }
}

/// Whether Nova was asked; else it has failed.
bool FleetLaunch::request(Record& record) {
  const auto guard = records_.lock_to_launch(record);
  if (!guard) {
    fail(record, guard.error().text());
    return false;
  }
  if (record.instance.state != State::starting) {
    record.instance.state = State::starting;
    progress_(record.instance);
  }
  if (const auto asked = ask_for(project_, records_, record); !asked) {
    fail(record, asked.error().text());
    return false;
  }
  return true;
}

void FleetLaunch::look_at(std::size_t index, const Server* server, std::chrono::seconds limit) {
  if (server != nullptr && settle(index, *server)) {
    return;
  }
  const auto now = Clock::now();
  if (now - asked_[index]->begin > limit) {
    fail(fleet_[index],
         trouble_.empty() ? "Nova has not started it in " + std::to_string(limit.count()) + " s"
                          : trouble_);
  } else if (server == nullptr && trouble_.empty() &&
             now - asked_[index]->end > std::chrono::seconds(kGraceSeconds)) {
    look_for(index);
  }
}

/// Whether it has got as far as it will.
bool FleetLaunch::settle(std::size_t index, const Server& server) {
  Record& record = fleet_[index];
  take_server(record, server);
  if (record.instance.state == State::starting) {
    return false;
  }
  if (record.instance.state != State::failed) {
    record.instance.ready_seconds = seconds_since(asked_[index]->begin);
  }
  (void)records_.save(record);
  progress_(record.instance);
  return true;
}

/// One that should stand among those of which Nova tells, and does not.
void FleetLaunch::look_for(std::size_t index) {
  Record& record = fleet_[index];
  const auto alone = find_server(project_, record);
  if (!alone) {
    return;  // a later look tells
  }
  if (*alone) {
    settle(index, **alone);
    return;
  }
  const std::string doubt = noted(record, "doubt");
  if (doubt.empty() || asks_of(record) >= kMostAsks) {
    fail(record, doubt.empty() ? "the cloud has no such server any more" : doubt);
    return;
  }
  // An internal error, after which no server came: a cloud that is busy gives such.
  const auto begin = Clock::now();
  if (request(record)) {
    asked_[index] = {begin, Clock::now()};
  }
}

Result<void> FleetLaunch::hear_of_changes() {
  const bool of_all = looks_++ % kLooksUntilAll == 0;
  auto servers =
      TRY(project_.servers(fleet_.front().instance.fleet, of_all ? "" : minute_before(newest_)));
  if (of_all) {
    seen_.clear();
  }
  for (Server& server : servers) {
    newest_ = std::max(newest_, server.updated);
    if (is_gone(server)) {
      seen_.erase(server.mark);
    } else {
      seen_[server.mark] = std::move(server);
    }
  }
  return {};
}

void FleetLaunch::look(std::chrono::seconds limit) {
  const auto heard = hear_of_changes();
  const std::lock_guard lock(mutex_);
  trouble_ = heard ? "" : heard.error().text();
  for (std::size_t i = 0; i < fleet_.size(); ++i) {
    if (asked_[i] && fleet_[i].instance.state == State::starting) {
      const auto found = seen_.find(fleet_[i].domain);
      look_at(i, found == seen_.end() ? nullptr : &found->second, limit);
    }
  }
}

bool FleetLaunch::is_settled() {
  if (!all_asked_) {
    return false;
  }
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < fleet_.size(); ++i) {
    if (asked_[i] && fleet_[i].instance.state == State::starting) {
      return false;
    }
  }
  return true;
}

void FleetLaunch::watch(std::chrono::seconds limit) {
  Clock::duration pause = kBetweenLooks;
  while (!is_settled()) {
    std::this_thread::sleep_for(pause);
    const auto begin = Clock::now();
    look(limit);
    pause = std::clamp<Clock::duration>(
        2 * (Clock::now() - begin), kBetweenLooks, kLongestBetweenLooks);
  }
}

void FleetLaunch::run(const LaunchRequest& request) {
  asked_.resize(fleet_.size());
  std::vector<std::size_t> wanted;
  for (std::size_t i = 0; i < fleet_.size(); ++i) {
    if (fleet_[i].instance.state == State::failed) {
      progress_(fleet_[i].instance);
    } else {
      wanted.push_back(i);
    }
  }
  std::thread watcher([&] { watch(request.ready_limit); });
  const int at_once = request.parallel > 0 ? request.parallel : kRequestsAtOnce;
  system::side_by_side(
      wanted.size(), static_cast<std::size_t>(at_once), [&](std::size_t i) { ask(wanted[i]); });
  all_asked_ = true;
  watcher.join();
}

}  // namespace goldmill::launch
