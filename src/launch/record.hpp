// SPDX-License-Identifier: GPL-3.0-or-later
// Record: one instance of a local engine as `instances/NAME/instance.json` keeps it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <goldmill/launch/launch.hpp>
#include <goldmill/machine/agent_channel.hpp>
#include <goldmill/machine/machine.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::launch {

/// One start of a machine that a host or a cloud runs.
struct Run {
  std::int64_t number = 0;  ///< by which libvirt tells starts apart; 0 in a cloud, which does not
  std::int64_t since = 0;   ///< when it was first seen to run, seconds since 1970
};

struct Record {
  Instance instance;
  std::filesystem::path disk;  ///< the image's
  std::string disk_format;
  std::filesystem::path snapshot;  ///< directory of the one that its disk stands on; "": none
  bool resumes = false;            ///< in its running process it goes on from the snapshot
  std::filesystem::path kernel;
  Bytes memory;
  int cpus = 1;
  bool uefi = false;
  std::string mac;
  std::string uuid;  ///< of the machine, as its firmware tells it
  Network network;
  std::string domain;  ///< its UUID at libvirt; in a cloud, the mark by which it is found
  Json server;         ///< null: of no cloud; see openstack_fleet.hpp
  std::vector<UserKey> keys;
  std::string user_data;
  std::optional<machine::ProcessIdentity> process;
  std::optional<Run> run;
};

Json to_json(const Record& record);
/// Errors: corrupt.
Result<Record> record_of(const Json& json);

/// The records under `home`/instances. Names and ports are given out under one lock.
class Records {
 public:
  explicit Records(std::filesystem::path home) : home_(std::move(home)) {}

  std::filesystem::path directory(const std::string& name) const;
  const std::filesystem::path& home() const { return home_; }

  /// Takes `count` names, ports and MAC addresses for the request and writes their records and
  /// disks durably. A fleet's lock is held by its launcher for as long as it works on it. With
  /// `hosts`, one name for each instance, their disks are made there, not here.
  struct Prepared {
    system::FileLock lock;
    std::string fleet;
    std::vector<Record> records;
  };
  Result<Prepared> prepare(const LaunchRequest& request,
                           const std::filesystem::path& snapshot = {},
                           const std::vector<std::string>& hosts = {});

  /// Errors: not_found, with a suggestion; corrupt.
  Result<Record> load(const std::string& name) const;
  /// By name. One that is damaged stands among them as a failed one of the embedded engine.
  std::vector<Record> read_all() const;
  /// The same, and what nobody will finish is cleared away.
  Result<std::vector<Record>> load_all() const;
  /// Those that the engine runs.
  Result<std::vector<Record>> load_all(std::string_view engine) const;
  /// Whether the engine runs an instance of this name.
  bool has(const std::string& name, std::string_view engine) const;
  /// Replaces the record as a whole: durably when its machine is elsewhere and so outlives a crash
  /// of this one.
  Result<void> save(const Record& record) const;
  /// Another port, when the first was taken by another program in the meantime.
  Result<void> change_port(Record& record) const;
  /// Removes the directory. A crash in between leaves a name that load_all clears away.
  Result<void> erase(const std::string& name) const;
  /// There while an instance of it is left; its launcher's lock.
  std::filesystem::path fleet_file(const std::string& fleet) const;
  bool has_fleet(const std::string& fleet) const;
  /// True while a launcher works on the fleet.
  bool is_being_launched(const std::string& fleet) const;
  /// For changes of one instance by one process at a time.
  Result<system::FileLock> lock(const std::string& name) const;
  /// The lock, with the record as whoever had it before left it. Errors: not_found.
  Result<system::FileLock> lock(Record& record) const;
  /// The lock for its launcher, in which its machine comes to be: whoever removes it meanwhile
  /// either finds that machine or keeps it from being made. Errors: conflict (it was removed).
  Result<system::FileLock> lock_to_launch(const Record& record) const;
  /// The lock for who starts it again. Errors: conflict, while its launcher may be about to;
  /// not_found.
  Result<system::FileLock> lock_to_start(Record& record) const;
  /// The same for who stops it. Errors: conflict, while its launcher has yet to start it;
  /// not_found.
  Result<system::FileLock> lock_to_stop(Record& record) const;
  /// The same for who only looks: until then, though at least once. Errors: conflict, of one that
  /// somebody starts or stops; not_found.
  Result<system::FileLock> lock_until(std::chrono::steady_clock::time_point end,
                                      Record& record) const;

 private:
  /// Errors: conflict, while a launcher works on its fleet.
  Result<void> check_launched(const Instance& instance) const;
  std::filesystem::path root() const { return home_ / "instances"; }
  std::filesystem::path lock_file(const std::string& name) const {
    return directory(name) / "lock";
  }
  Result<system::FileLock> allocation_lock() const;
  /// Errors: corrupt, with what to do.
  Result<Record> read(const std::string& name) const;
  /// Removes what launchers that died left of instances that never came to be. The caller has the
  /// allocation lock.
  void clear_away() const;
  Result<void> write_new(const Record& record, Bytes disk_size) const;

  std::filesystem::path home_;
};

/// It was started, and nobody has stopped it.
bool should_run(const Record& record);
/// That it failed, and so runs no more.
void set_failed(Record& record, std::string why);
/// That it runs, by the start's number, or does not.
void note_run(Record& record, std::optional<std::int64_t> number);
/// Seconds that its run has lasted, while it should run.
std::optional<double> uptime_of(const Record& record);
/// What an instance's disk shows. Errors: invalid_input (smaller than the image's).
Result<Bytes> disk_size_of(const LaunchRequest& request);
/// "10.A.B.0/24" that belongs to the port alone.
std::string subnet_of(std::uint16_t port);
/// What QEMU's user network gives the guest in it, by DHCP or told before.
machine::StaticNetwork guest_network_of(std::uint16_t port);
/// True when nothing listens on 127.0.0.1:port.
bool is_port_free(std::uint16_t port);
double seconds_since(std::chrono::steady_clock::time_point start);
/// Bytes from the kernel's generator.
std::string random_bytes(std::size_t count);

}  // namespace goldmill::launch
