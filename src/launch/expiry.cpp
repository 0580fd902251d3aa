// SPDX-License-Identifier: GPL-3.0-or-later
#include "expiry.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <string_view>

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <goldmill/launch/launch.hpp>
#include <goldmill/system/file.hpp>

#include "record.hpp"

namespace goldmill::launch {

namespace fs = std::filesystem;

namespace {
constexpr std::string_view kWorker = "launch_expiry";
/// A clock that was set, or a machine that slept, is noticed after this time.
constexpr std::int64_t kLongestNap = 60;
/// Between tries to remove what cannot be removed now: a host may be lost for a while.
constexpr std::int64_t kBetweenTries = 30;

/// Until the fleet's file changes, or that many seconds have passed.
void nap(int watch, std::int64_t seconds) {
  pollfd changes{watch, POLLIN, 0};
  (void)::poll(
      &changes, 1, static_cast<int>(std::clamp<std::int64_t>(seconds, 1, kLongestNap)) * 1000);
  std::array<char, 4096> events{};
  while (::read(watch, events.data(), events.size()) > 0) {
  }
}

Result<void> enter(const char* directory) {
  if (::chdir(directory) != 0) {
    return system_error(std::string("cannot enter ") + directory, errno);
  }
  return {};
}

Result<Json> await_expiry(system::WorkerContext& context) {
  const fs::path home = TRY(string_at(context.request(), "home"));
  const std::string fleet = TRY(string_at(context.request(), "fleet"));
  const std::int64_t when = TRY(integer_at(context.request(), "when"));
  const std::string caller = TRY(string_at(context.request(), "directory"));
  TRY(enter("/"));  // not to stand in the way of an unmount
  const Records records(home);
  const system::UniqueFd watch(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  const fs::path file = records.fleet_file(fleet);
  if (!watch || ::inotify_add_watch(watch.get(), file.c_str(), IN_ATTRIB | IN_DELETE_SELF) < 0) {
    return system_error("cannot watch " + file.string(), errno);
  }
  context.send_event({{"up", true}});
  while (records.has_fleet(fleet)) {
    const std::int64_t left = when - ::time(nullptr);
    if (left > 0) {
      nap(watch.get(), left);
      continue;
    }
    (void)enter(caller.c_str());  // a cloud's settings may lie there
    (void)list(home);             // which removes what is over
    TRY(enter("/"));
    if (records.has_fleet(fleet)) {
      nap(watch.get(), kBetweenTries);
    }
  }
  return Json::object();
}
}  // namespace

Result<void> end_in_time(const fs::path& home, const std::string& fleet, std::int64_t when) {
  const system::UniqueFd nowhere = TRY(system::open_file("/dev/null", O_WRONLY));
  std::error_code ignored;
  return system::start_service({.name = std::string(kWorker),
                                .request = {{"home", fs::absolute(home).string()},
                                            {"directory", fs::current_path(ignored).string()},
                                            {"fleet", fleet},
                                            {"when", when}},
                                .output = nowhere.get()});
}

system::WorkerEntry expiry_worker() {
  return {kWorker, await_expiry};
}

}  // namespace goldmill::launch
