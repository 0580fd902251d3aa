// SPDX-License-Identifier: GPL-3.0-or-later
// Launch: an image's disk -> a fleet of running, personalised instances; and what becomes of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::launch {

struct UserKey {
  std::string user;
  std::string line;  ///< one line of authorized_keys(5)
};

struct LaunchRequest {
  std::string engine = "qemu";
  std::string image;                  ///< reference to show and record: "java@3"
  std::filesystem::path disk;         ///< the image's disk; never written
  std::string disk_format = "qcow2";  ///< or "raw"
  std::filesystem::path kernel;       ///< for the accelerator's probe; "": the disk itself
  int count = 1;
  std::string fleet;  ///< name; "": after the image, with a number when taken
  Bytes memory = 512_MiB;
  int cpus = 1;
  std::optional<Bytes> disk_size;  ///< at least the image's own
  bool uefi = false;
  /// goldmill's own key is added for `ssh_user`, the user of `goldmill ssh`.
  std::vector<UserKey> keys;
  std::string ssh_user = "root";
  std::string user_data;
  bool prepare_only = false;
  int parallel = 0;  ///< boots at once; 0: twice the cores
  std::chrono::seconds ready_limit{600};
};

enum class State : std::uint8_t { prepared, starting, ready, failed, stopped };
const char* name_of(State state);

struct Instance {
  std::string name;
  std::string fleet;
  std::string image;
  std::string engine;
  std::string hostname;
  std::string machine_id;    ///< "" until personalised
  std::string ssh_host_key;  ///< "ssh-ed25519 AAAA...", "" until personalised
  std::string ssh_user;
  std::uint16_t ssh_port = 0;
  State state = State::prepared;
  std::optional<double> ready_seconds;  ///< from its start to its agent's "ready"
  std::string error;                    ///< "" or why it failed
  Json dossier;                         ///< of a failed start (machine::Dossier), or null
};

struct Fleet {
  std::string name;
  double seconds = 0;
  std::string accelerator;            ///< what runs it and why
  std::vector<std::string> warnings;  ///< said once for the fleet
  std::vector<Instance> instances;    ///< failed ones too: one's failure is its own row
};

/// {"fleet","seconds","instances":[{"name","hostname","machine_id","ssh_host_key","ssh_port",
/// "state","ready_seconds","error"}]}; what is not known is null.
Json to_json(const Fleet& fleet);
Json to_json(const Instance& instance);

/// Called from several threads, one at a time, whenever an instance changes.
using Progress = std::function<void(const Instance&)>;

/// Prepares all instances durably, then starts them in parallel and waits until each is ready
/// or has failed. Errors: what concerns all (no such disk, a bad name, no engine); what concerns
/// one instance is in its row.
Result<Fleet> launch(const std::filesystem::path& home,
                     const LaunchRequest& request,
                     const Progress& progress = {});

/// All instances, compared with what really runs, also after a crash or reboot of the machine.
Result<std::vector<Instance>> list(const std::filesystem::path& home);

/// Starts a prepared or stopped instance and waits until it is ready.
Result<Instance> start(const std::filesystem::path& home, const std::string& name);

/// An orderly shutdown by the agent or ACPI, and a kill after `limit`. One that does not run is
/// no error. Errors: not_found.
Result<void> stop(const std::filesystem::path& home,
                  const std::string& name,
                  std::chrono::seconds limit = std::chrono::seconds(90));

/// Ends it at once and removes all that it left. Errors: not_found.
Result<void> remove(const std::filesystem::path& home, const std::string& name);

/// The names of a fleet's instances, or the name itself. Errors: not_found, with a suggestion.
Result<std::vector<std::string>> expand(const std::filesystem::path& home,
                                        const std::string& fleet_or_name);

/// The ssh command line for an instance, with its host key pinned. Errors: not_found, unavailable
/// (it does not run or has no SSH server).
Result<std::vector<std::string>> ssh_arguments(const std::filesystem::path& home,
                                               const std::string& name);

}  // namespace goldmill::launch
