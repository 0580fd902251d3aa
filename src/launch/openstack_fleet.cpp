// SPDX-License-Identifier: GPL-3.0-or-later
#include "openstack_fleet.hpp"

#include <array>
#include <thread>

#include <time.h>

#include <goldmill/system/side_by_side.hpp>

namespace goldmill::launch {

namespace {
/// How long Nova may take to show a server of which it was asked.
constexpr std::int64_t kGraceSeconds = 30;
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
  return asked && noted(record, "id").empty() && ::time(nullptr) - *asked < kGraceSeconds &&
         ::time(nullptr) >= *asked;
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

Result<std::optional<Server>> find_server(const CloudProject& project, const Record& record) {
  if (const std::string id = noted(record, "id"); is_cloud_id(id)) {
    return project.server(id);
  }
  for (Server& server : TRY(project.servers(record.instance.fleet))) {
    if (server.mark == record.domain) {
      return std::optional(std::move(server));
    }
  }
  return std::optional<Server>();
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
    by_mark[server.mark] = &server;
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
    return *std::move(created.refused);
  }
  record.server[created.id.empty() ? "doubt" : "id"] =
      created.id.empty() ? created.doubt : created.id;
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
    asked_[index] = begin;
  }
}

/// Whether Nova was asked; else it has failed.
bool FleetLaunch::request(Record& record) {
  // Whoever removes it meanwhile either finds it or keeps it from being made.
  const auto guard = records_.lock(record.instance.name);
  if (!guard || !records_.load(record.instance.name)) {
    fail(record, "it was removed while it was being launched");
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
  Record& record = fleet_[index];
  const auto waited = Clock::now() - *asked_[index];
  if (server != nullptr) {
    take_server(record, *server);
    if (record.instance.state != State::starting) {
      record.instance.ready_seconds = seconds_since(*asked_[index]);
      if (record.instance.state == State::failed) {
        record.instance.ready_seconds.reset();
      }
      (void)records_.save(record);
      progress_(record.instance);
      return;
    }
  }
  const std::string doubt = noted(record, "doubt");
  if (server == nullptr && waited > std::chrono::seconds(kGraceSeconds) && trouble_.empty()) {
    const auto alone = find_server(project_, record);
    if (alone && !*alone && !doubt.empty() && asks_of(record) < kMostAsks) {
      // An internal error, after which no server came: a cloud that is busy gives such.
      if (request(record)) {
        asked_[index] = Clock::now();
      }
    } else if (alone && !*alone) {
      fail(record, doubt.empty() ? "the cloud has no such server any more" : doubt);
    }
  } else if (waited > limit) {
    fail(record,
         trouble_.empty() ? "Nova has not started it in " + std::to_string(limit.count()) + " s"
                          : trouble_);
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
