// SPDX-License-Identifier: GPL-3.0-or-later
// FleetLaunch: asks Nova for the servers of a fleet, side by side, and follows them until each runs
// or has failed; and what a record says of its server.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/launch/launch.hpp>

#include "openstack_project.hpp"
#include "record.hpp"

namespace goldmill::launch {

/// Record::server: {"project", "auth_url", "image", "flavor", "network", "key_pair"} from the first
/// moment; while Nova has not refused it, "asked" (when, in seconds since 1970; of a request whose
/// end brought a "doubt", when that came) and "asks" (how often); "id" when Nova has said it. Its
/// mark is Record::domain.
void note_terms(Record& record, const Cloud& cloud, const ServerSpec& terms);
bool was_asked_for(const Record& record);
/// Nova may still be making it from a request that nobody heard the end of.
bool may_still_come(const Record& record);

/// Errors: those of Cloud::open(); conflict (the credentials of that name are for another project
/// now).
Result<CloudProject> project_of(const Record& record);
/// By its id, else by its mark. Nothing: there is none, or none any more.
Result<std::optional<Server>> find_server(const CloudProject& project, const Record& record);
/// All that are its own: when nobody heard the end of a request, Nova may have made two.
Result<std::vector<Server>> servers_of(const CloudProject& project, const Record& record);

using ServersByMark = std::map<std::string, const Server*>;
/// Those that are there; valid while the servers are.
ServersByMark by_marks(const std::vector<Server>& servers);

/// A minute before the time that Nova wrote, as it reads it: clocks of its hosts differ. "" when it
/// is none.
std::string minute_before(const std::string& time);

bool is_running(const Server& server);
/// What Nova says of it goes into the record; also that it has none.
void take_server(Record& record, const Server& server);
void take_absence(Record& record);

/// Notes durably that it is asked for, then asks. Errors: Nova refuses it. That nobody knows
/// what became of the request is no error: "doubt" in the record says why.
Result<void> ask_for(const CloudProject& project, const Records& records, Record& record);
/// Errors: unavailable, with Nova's fault or the limit.
Result<void> wait_until_running(const CloudProject& project,
                                const Records& records,
                                Record& record,
                                std::chrono::seconds limit);

class FleetLaunch {
 public:
  FleetLaunch(const CloudProject& project,
              const Records& records,
              std::vector<Record>& fleet,
              const Progress& progress)
      : project_(project), records_(records), fleet_(fleet), progress_(progress) {}

  void run(const LaunchRequest& request);

 private:
  using Clock = std::chrono::steady_clock;

  void ask(std::size_t index);
  void watch(std::chrono::seconds limit);
  void look(std::chrono::seconds limit);
  Result<void> hear_of_changes();
  void look_at(std::size_t index, const Server* server, std::chrono::seconds limit);
  void look_for(std::size_t index);
  bool settle(std::size_t index, const Server& server);
  bool request(Record& record);
  void fail(Record& record, const std::string& why);
  bool is_settled();

  const CloudProject& project_;
  const Records& records_;
  std::vector<Record>& fleet_;
  const Progress& progress_;
  std::mutex mutex_;  ///< of the fleet, and what follows
  struct Asked {
    Clock::time_point begin;  ///< from here it gets ready
    Clock::time_point end;    ///< from here Nova can be expected to show it
  };
  std::vector<std::optional<Asked>> asked_;
  std::string trouble_;  ///< why Nova could not be asked last
  std::atomic<bool> all_asked_ = false;
  // Of the thread that watches.
  std::map<std::string, Server> seen_;  ///< by their marks, as Nova told last
  std::string newest_;                  ///< when the last of them changed
  int looks_ = 0;
};

}  // namespace goldmill::launch
