// SPDX-License-Identifier: GPL-3.0-or-later
// Launch: an image's disk -> a fleet of running, personalised instances; and what becomes of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::launch {

struct UserKey {
  std::string user;
  std::string line;  ///< one line of authorized_keys(5)
};

/// What instances are plugged into.
struct Network {
  enum class Kind : std::uint8_t {
    user,     ///< each has one of its own, from which it reaches out
    bridge,   ///< a bridge of the host, which gives addresses by DHCP
    network,  ///< one of libvirt's networks on the host, or of the cloud's
    netns,    ///< one of goldmill's own in a network namespace: see lan.hpp
  };
  Kind kind = Kind::user;
  std::string name;

  /// "user", "bridge=NAME", "network=NAME", "netns=NAME" or "netns", which is named after the
  /// fleet. Errors: invalid_input.
  static Result<Network> parse(const std::string& text);
  std::string text() const;
  /// They get addresses of it, and reach each other.
  bool is_shared() const { return kind != Kind::user; }
  /// Why no guest on it has this address, or "": it is this machine's own, or not one of a netns.
  std::string objection_to(const std::string& address) const;
};

/// How the image's kernel starts without the boot loader.
struct KernelBoot {
  std::string arguments;  ///< what the boot loader would tell it; "": nobody knows
  /// Writes the kernel and its initramfs to these files.
  std::function<Result<void>(const std::filesystem::path& kernel,
                             const std::filesystem::path& initrd)>
      take = {};
};

struct LaunchRequest {
  std::string engine = "qemu";
  std::vector<std::string> hosts;     ///< names of known ones, for libvirt; none: all
  std::string container_disk;         ///< of kubevirt: the container image, as a cluster pulls it
  std::string cloud;                  ///< OpenStack's, of clouds.yaml; "": see docs/openstack.md
  std::string flavor;                 ///< of the cloud; "": the smallest that fits
  std::string key_pair;               ///< of the cloud, accepted beside the other keys; "": none
  std::string image;                  ///< reference to show and record: "java@3"
  std::filesystem::path disk;         ///< the image's disk; never written
  std::string disk_format = "qcow2";  ///< or "raw"
  std::string image_digest;           ///< hexadecimal; names the image's snapshots
  std::string disk_digest;            ///< of the disk's bytes as the guest sees them
  /// The disk as a qcow2 file that stands on no other, for those that start it elsewhere.
  std::function<Result<system::UniqueFd>()> whole_disk = {};
  /// Goes on from the image's snapshot instead of booting; made when there is none that fits.
  bool warm = false;
  KernelBoot kernel_boot = {};   ///< of the machine of which a snapshot is taken
  std::filesystem::path kernel;  ///< for the accelerator's probe; "": the disk itself
  int count = 1;
  std::string fleet;  ///< name; "": after the image, with a number when taken
  Bytes memory = 512_MiB;
  int cpus = 1;
  Network network;  ///< user: of qemu's instances the SSH port is reached from this machine
  std::optional<Bytes> disk_size;  ///< at least the image's own
  bool uefi = false;
  /// goldmill's own key is added for `ssh_user`, the user of `goldmill ssh`.
  std::vector<UserKey> keys;
  std::string ssh_user = "root";
  std::string first_user = "root";  ///< the image's, whose are keys of a cloud
  std::string user_data;
  std::optional<std::chrono::seconds> lifetime;  ///< removed after it, by the next list()
  bool prepare_only = false;
  int parallel = 0;  ///< starts at once; 0: two processors of guests for each core
  std::optional<Bytes> memory_budget;  ///< for all of them on this machine; none: what it has free
  std::chrono::seconds ready_limit{600};
  /// Hears what takes long before the first instance starts.
  std::function<void(const std::string&)> tell = {};
};

/// The snapshot from which warm instances go on.
struct Warmth {
  std::filesystem::path directory;
  bool made = false;  ///< now; false: it was there
  Bytes bytes;        ///< on the disk
  double seconds = 0;
};

enum class State : std::uint8_t { prepared, starting, ready, failed, stopped };
const char* name_of(State state);

struct Instance {
  std::string name;
  std::string fleet;
  std::string image;
  std::string engine;
  std::string host;  ///< name of the libvirt host or cloud that runs it; "": this machine
  std::string hostname;
  std::string machine_id;    ///< "" until personalised
  std::string ssh_host_key;  ///< "ssh-ed25519 AAAA...", "" until personalised
  std::string ssh_user;
  std::string address;  ///< where its SSH server is reached; "": not known
  std::uint16_t ssh_port = 0;
  bool own_address = false;  ///< the address is its own on a network that this machine sees
  State state = State::prepared;
  std::optional<double> ready_seconds;   ///< from its start to its agent's "ready"
  std::optional<double> uptime_seconds;  ///< of its machine, while it runs
  std::optional<Bytes> memory;           ///< its share of this machine's, while it runs
  std::string error;                     ///< "" or why it failed
  std::vector<std::string> warnings;     ///< of what else went wrong while it started
  std::optional<std::int64_t> expires;   ///< seconds since 1970
  Json dossier;                          ///< of a failed start (machine::Dossier), or null
};

/// Its record cannot be read: it can only be removed, and what its disk stands on is not known.
bool is_damaged(const Instance& instance);

struct Fleet {
  std::string name;
  double seconds = 0;
  std::string accelerator;            ///< what runs it and why
  std::string budget;                 ///< how many at once, and how many fit into memory
  std::vector<std::string> warnings;  ///< said once for the fleet
  std::vector<Instance> instances;    ///< failed ones too: one's failure is its own row
  std::vector<Json> manifests;        ///< Kubernetes objects to be applied, instead of instances
};

/// {"fleet","seconds","accelerator","budget","warnings","instances":[{"name","hostname","machine_id","ssh_host_key","address",
/// "ssh_port","state","ready_seconds","error"}]}; what is not known is null. "manifests" where
/// there are some.
Json to_json(const Fleet& fleet);
Json to_json(const Instance& instance);

/// Those of engines.def.
std::vector<std::string> engine_names();

/// Called from several threads, one at a time, whenever an instance changes.
using Progress = std::function<void(const Instance&)>;

/// Prepares all instances durably, then starts them in parallel and waits until each is ready
/// or has failed. Errors: what concerns all (no such disk, a bad name, no engine); what concerns
/// one instance is in its row.
Result<Fleet> launch(const std::filesystem::path& home,
                     const LaunchRequest& request,
                     const Progress& progress = {});

/// Makes the snapshot that launches with the same `memory`, `cpus` and `disk_size` use; one that is
/// there and fits is only checked. Errors: those of a boot.
Result<Warmth> warm(const std::filesystem::path& home, const LaunchRequest& request);
/// Directories of snapshots that no instance stands on and from which this machine's QEMU cannot go
/// on, and of those whose maker died.
Result<std::vector<std::filesystem::path>> useless_snapshots(const std::filesystem::path& home);

/// How a snapshot lies there. Those in the making are none yet.
struct SnapshotHealth {
  std::filesystem::path directory;  ///< snapshots/IMAGE DIGEST/NAME
  std::string damage;               ///< "" or what of it is not what was written
};
/// Reads all of them to the end.
std::vector<SnapshotHealth> inspect_snapshots(const std::filesystem::path& home);
/// Removes a damaged one: the next warm launch makes another. Errors: conflict (instances' disks
/// stand on it).
Result<void> drop_snapshot(const std::filesystem::path& home,
                           const std::filesystem::path& directory);

/// All instances but those whose time is over, which are removed; compared with what really runs,
/// also after a crash or reboot of the machine.
Result<std::vector<Instance>> list(const std::filesystem::path& home);

/// All that is recorded, without a look at what runs.
std::vector<Instance> recorded(const std::filesystem::path& home);
/// Its time has passed: the next list() removes it.
bool is_over(const Instance& instance);

/// Starts a prepared or stopped instance and waits until it is ready or has failed. Errors:
/// not_found; conflict (it runs already).
Result<Instance> start(const std::filesystem::path& home, const std::string& name);

/// Called from several threads, one at a time, with what became of each.
using Started = std::function<void(const std::string& name, const Result<Instance>& outcome)>;

/// The same of many, `parallel` at a time (0: twice the cores); one that fails stops no other.
void start(const std::filesystem::path& home,
           const std::vector<std::string>& names,
           int parallel,
           const Started& started);

/// An orderly shutdown by the agent or ACPI, and a kill after `limit`. One that does not run is
/// no error. Errors: not_found.
Result<void> stop(const std::filesystem::path& home,
                  const std::string& name,
                  std::chrono::seconds limit = std::chrono::seconds(90));

/// Called from several threads, one at a time, with the name of each that has ended or has not.
using Stopped = std::function<void(const std::string& name, const Result<void>& outcome)>;

/// The same of many, side by side; one that fails stops no other.
void stop(const std::filesystem::path& home,
          const std::vector<std::string>& names,
          std::chrono::seconds limit,
          const Stopped& stopped);

/// Ends it at once and removes all that it left. Errors: not_found.
Result<void> remove(const std::filesystem::path& home, const std::string& name);

/// The same of many, side by side; one that cannot be removed keeps no other.
using Removed = Stopped;
void remove(const std::filesystem::path& home,
            const std::vector<std::string>& names,
            const Removed& removed);

/// The names of a fleet's instances, or the name itself. Errors: not_found, with a suggestion.
Result<std::vector<std::string>> expand(const std::filesystem::path& home,
                                        const std::string& fleet_or_name);

/// The instance's serial console from now on, as a stream. Another one ends the one before; while
/// there is none, what the guest says is dropped. Errors: not_found, unavailable (does not run).
Result<system::UniqueFd> console(const std::filesystem::path& home, const std::string& name);

/// How OpenSSH reaches an instance; its host key is pinned in `known_hosts` as "instance".
struct SshAccess {
  std::string address;
  std::uint16_t port = 0;
  std::string user;
  std::filesystem::path private_key;
  std::filesystem::path known_hosts;
  std::string proxy;  ///< the shell command that connects where nothing else does, or ""
};

/// Errors: not_found, unavailable (it does not run or has no SSH server).
Result<SshAccess> ssh_access(const std::filesystem::path& home, const std::string& name);

/// The ssh command line for an instance, with its host key pinned. Errors: not_found, unavailable
/// (it does not run or has no SSH server).
Result<std::vector<std::string>> ssh_arguments(const std::filesystem::path& home,
                                               const std::string& name);

/// A connection to one of the instance's TCP ports. Errors: not_found, unavailable (it does not
/// run, nothing answers there, or its network lets nobody in but to SSH).
Result<system::UniqueFd> connect(const std::filesystem::path& home,
                                 const std::string& name,
                                 std::uint16_t port);

/// To be registered in main() with the other workers.
std::span<const system::WorkerEntry> workers();

}  // namespace goldmill::launch
