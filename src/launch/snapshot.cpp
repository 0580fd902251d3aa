// SPDX-License-Identifier: GPL-3.0-or-later
#include "snapshot.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <set>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/base/json.hpp>
#include <goldmill/machine/agent_channel.hpp>
#include <goldmill/machine/dossier.hpp>
#include <goldmill/machine/overlay.hpp>
#include <goldmill/machine/qmp.hpp>
#include <goldmill/machine/saved_state.hpp>

namespace goldmill::launch {

namespace fs = std::filesystem;
using machine::AgentChannel;
using machine::Machine;
using machine::MachineSpec;
using machine::Qmp;
using system::UniqueFd;

namespace {
// Of how guests are settled and saved: a change makes new snapshots.
constexpr int kFormat = 2;
constexpr const char* kFacts = "snapshot.json";
constexpr const char* kMemory = "memory";
constexpr const char* kState = "state";
constexpr const char* kDisk = "disk.qcow2";
constexpr const char* kKernel = "kernel";
constexpr const char* kInitrd = "initrd";
// An idle kernel looks every two seconds how long its tasks wait for each other (PSI), every four
// whether a processor hangs: half of what hundreds of idle, emulated copies cost.
constexpr const char* kQuietKernel = " psi=0 nowatchdog";
constexpr auto kSettleLimit = std::chrono::minutes(5);
constexpr auto kQuietLimit = std::chrono::seconds(60);
constexpr double kQuiet = 0.03;  // of a core, over two seconds
// So long in a row: udev ends its idle workers seconds after the last event, and each copy would
// pay for what follows from that.
constexpr int kQuietTimes = 5;

MachineSpec spec_of(const SnapshotRequest& request) {
  MachineSpec spec = warm_machine("warm", request.memory, request.cpus);
  spec.accelerator = request.accelerator;
  return spec;
}

/// What the kernel is told where it must be quiet; "" where the image's own boot loader starts it.
std::string arguments_of(const SnapshotRequest& request) {
  const bool direct =
      request.accelerator == machine::Accelerator::tcg && !request.kernel_boot.arguments.empty();
  return direct ? request.kernel_boot.arguments + kQuietKernel : "";
}

/// "model name : ..." of the first processor: `-cpu host` shows it to the guest.
std::string host_processor() {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  while (std::getline(info, line)) {
    if (line.starts_with("model name")) {
      return line;
    }
  }
  return "";
}

/// All that a saved state depends on. The command line says machine type, processor, memory,
/// devices, firmware and accelerator; the agent is in the image.
Json conditions_of(const SnapshotRequest& request) {
  MachineSpec spec = spec_of(request);
  machine::HandedNumbers numbers;
  spec.memory_file = machine::MemoryFile{};
  spec.disk = machine::DiskSpec{0, "qcow2", {0, 0}, request.disk_format};
  const bool native = request.accelerator == machine::Accelerator::kvm;
  return {{"format", kFormat},
          {"image", request.image_digest},
          {"qemu", machine::qemu_version()},
          {"machine", machine::qemu_arguments(spec, numbers)},
          {"disk_size", request.disk_size.value},
          {"kernel", arguments_of(request)},
          {"processor", native ? host_processor() : ""}};
}

/// What conditions follow from.
Json wishes_of(const SnapshotRequest& request) {
  return {{"image", request.image_digest},
          {"disk_format", request.disk_format},
          {"disk_size", request.disk_size.value},
          {"memory", request.memory.value},
          {"cpus", request.cpus},
          {"kernel", request.kernel_boot.arguments},
          {"accelerator", machine::name_of(request.accelerator)}};
}

Result<SnapshotRequest> request_of(const Json& wishes) {
  SnapshotRequest request;
  request.image_digest = TRY(string_at(wishes, "image"));
  request.disk_format = TRY(string_at(wishes, "disk_format"));
  request.disk_size = Bytes{static_cast<std::uint64_t>(TRY(integer_at(wishes, "disk_size")))};
  request.memory = Bytes{static_cast<std::uint64_t>(TRY(integer_at(wishes, "memory")))};
  request.cpus = static_cast<int>(TRY(integer_at(wishes, "cpus")));
  request.kernel_boot.arguments = TRY(string_at(wishes, "kernel"));
  const bool native = TRY(string_at(wishes, "accelerator")) == name_of(machine::Accelerator::kvm);
  request.accelerator = native ? machine::Accelerator::kvm : machine::Accelerator::tcg;
  return request;
}

Result<Digest> digest_of_file(const fs::path& path) {
  return system::digest_of(path, O_RDONLY | O_NOFOLLOW);
}

Result<Digest> digest_in(const Json& facts, const char* key) {
  return Digest::parse(TRY(string_at(facts, key)));
}

Bytes bytes_in(const fs::path& directory) {
  Bytes sum{0};
  for (const char* name : {kMemory, kState, kDisk}) {
    struct stat status {};
    if (::lstat((directory / name).c_str(), &status) == 0) {
      sum.value += static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
  }
  return sum;
}

Result<Json> facts_in(const fs::path& directory) {
  const fs::path file = directory / kFacts;
  return parse_json(TRY(system::read_file(file, 1_MiB)), file.string());
}

}  // namespace

Json facts_of(const SnapshotRequest& request) {
  return {{"conditions", conditions_of(request)},
          {"wishes", wishes_of(request)},
          {"image", request.image}};
}

std::optional<machine::Accelerator> still_fits(const Json& facts) {
  const Json* wishes = find_value(facts, "wishes");  // none: of an older goldmill
  const Json* conditions = find_value(facts, "conditions");
  const auto request = wishes != nullptr ? request_of(*wishes) : Error{ErrorKind::corrupt, ""};
  const bool fits = request && conditions != nullptr && conditions_of(*request) == *conditions;
  return fits ? std::optional(request->accelerator) : std::nullopt;
}

Result<void> check_fit(const Snapshot& snapshot, machine::Accelerator accelerator) {
  if (still_fits(snapshot.facts) == accelerator) {
    return {};
  }
  return Error{ErrorKind::conflict,
               "the snapshot that it is to go on from is of another QEMU, processor or goldmill",
               "remove it and launch again: launch --warm makes one that fits"};
}

Result<Snapshot> open_snapshot(const fs::path& directory) {
  const Json facts = TRY(facts_in(directory));
  for (const char* name : {kState, kDisk}) {
    if (TRY(digest_of_file(directory / name)) != TRY(digest_in(facts, name))) {
      return Error{ErrorKind::corrupt, (directory / name).string() + " is damaged"};
    }
  }
  const UniqueFd memory = TRY(system::open_file(directory / kMemory, O_RDONLY | O_NOFOLLOW));
  Snapshot snapshot;
  snapshot.directory = directory;
  snapshot.memory = TRY(machine::load_memory(memory.get(), TRY(digest_in(facts, kMemory))));
  snapshot.bytes = bytes_in(directory);
  snapshot.facts = facts;
  return snapshot;
}

namespace {
/// A name never comes back with another disk, on which stopped instances would stand: the digest of
/// the disk is part of it, and a damaged one stays for `goldmill check --repair`.
std::optional<Snapshot> find_snapshot(const fs::path& parent, const std::string& key) {
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(parent, failure)) {
    if (entry.path().filename().string().starts_with(key + ".") && entry.is_directory(failure)) {
      if (auto snapshot = open_snapshot(entry.path())) {
        return std::move(snapshot).value();
      }
    }
  }
  return std::nullopt;
}

/// Boots, settles and saves one machine; everything it needs lies in `directory`.
class Shot {
 public:
  Shot(const SnapshotRequest& request, fs::path directory)
      : request_(request), directory_(std::move(directory)) {}

  /// The digest of its disk.
  Result<Digest> take() {
    TRY(prepare());
    Machine machine = TRY(Machine::start(spec_));
    Qmp control = TRY(Qmp::connect(directory_ / machine::kQmpSocket));
    // Before its kernel looks: nobody may reach a guest that is nobody's.
    TRY(machine::set_link(control, false));
    TRY(boot());
    TRY(await_quiet(machine.id()));
    const UniqueFd state = TRY(create(kState));
    TRY(machine::save_state(control, state.get()));
    machine.kill();
    return record();
  }

 private:
  Result<UniqueFd> create(const char* name) const {
    return system::open_file(directory_ / name, O_RDWR | O_CREAT | O_EXCL, 0600);
  }

  Result<void> prepare() {
    TRY(machine::write_overlay(directory_ / kDisk,
                               {request_.disk.string(), request_.disk_format, request_.disk_size}));
    image_ = TRY(machine::ImageDisk::open(request_.disk, request_.disk_format));
    overlay_ = TRY(system::open_file(directory_ / kDisk, O_RDWR));
    memory_ = TRY(machine::make_memory(request_.memory));
    spec_ = spec_of(request_);
    spec_.directory = directory_;
    spec_.disk = machine::DiskSpec{overlay_.get(), "qcow2", image_.files(), request_.disk_format};
    spec_.memory_file = machine::MemoryFile{memory_.get(), machine::MemoryFile::Use::shared};
    return prepare_kernel();
  }

  Result<void> prepare_kernel() {
    const std::string arguments = arguments_of(request_);
    if (arguments.empty()) {
      return {};
    }
    const fs::path kernel = directory_ / kKernel;
    const fs::path initrd = directory_ / kInitrd;
    TRY(request_.kernel_boot.take(kernel, initrd).context("the kernel of " + request_.image));
    kernel_ = TRY(system::open_file(kernel, O_RDONLY));
    initrd_ = TRY(system::open_file(initrd, O_RDONLY));
    spec_.kernel = machine::KernelSpec{kernel_.get(), initrd_.get(), arguments};
    return {};
  }

  Result<void> boot() {
    channel_.emplace(TRY(AgentChannel::connect(directory_ / machine::kAgentSocket)));
    machine::BootWatch watch(directory_);
    machine::Identity nobody;
    nobody.hostname = "warm";
    nobody.seed = random_bytes(64);
    const auto report = channel_->personalise(
        nobody,
        {AgentChannel::Goal::ready, request_.ready_limit, [&watch] { return watch.pointless(); }});
    if (!report) {
      Error error = report.error();
      error.message += "; " + machine::collect_dossier(directory_, "").likely_cause;
      return error;
    }
    return channel_->settle(kSettleLimit);
  }

  /// Until it hardly runs any more. One that does not come to rest is saved all the same: it only
  /// costs more.
  static Result<void> await_quiet(pid_t process) {
    const auto end = std::chrono::steady_clock::now() + kQuietLimit;
    for (int quiet = 0; quiet < kQuietTimes && std::chrono::steady_clock::now() < end;) {
      const double before = TRY(machine::processor_seconds(process));
      std::this_thread::sleep_for(std::chrono::seconds(2));
      const double used = TRY(machine::processor_seconds(process)) - before;
      quiet = used < 2 * kQuiet ? quiet + 1 : 0;
    }
    return {};
  }

  Result<Digest> record() {
    const UniqueFd memory = TRY(create(kMemory));
    Json facts = facts_of(request_);
    facts[kMemory] = TRY(machine::store_memory(memory_.get(), memory.get())).text();
    for (const char* name : {kState, kDisk}) {
      facts[name] = TRY(digest_of_file(directory_ / name)).text();
    }
    for (const char* name : {machine::kQmpSocket, machine::kAgentSocket, kKernel, kInitrd}) {
      ::unlink((directory_ / name).c_str());
    }
    const UniqueFd held = TRY(system::open_directory(directory_));
    if (::syncfs(held.get()) != 0) {
      return system_error("cannot sync " + directory_.string(), errno);
    }
    TRY(system::write_file(directory_ / kFacts, facts.dump(2) + "\n", 0600));
    return digest_in(facts, kDisk);
  }

  const SnapshotRequest& request_;
  fs::path directory_;
  machine::ImageDisk image_;
  UniqueFd overlay_;
  UniqueFd memory_;
  UniqueFd kernel_;
  UniqueFd initrd_;
  MachineSpec spec_;
  // Open until the state is saved: a copy then has a host from the start, and need not greet it.
  std::optional<AgentChannel> channel_;
};
}  // namespace

MachineSpec warm_machine(const std::string& name, Bytes memory, int cpus) {
  MachineSpec spec;
  spec.name = name;
  spec.memory = memory;
  spec.cpus = cpus;
  spec.display = false;  // its memory would be each instance's own
  spec.network.kind = machine::NetworkSpec::Kind::unplugged;
  spec.network.mac = "02:00:00:00:00:00";
  return spec;
}

fs::path snapshot_disk(const fs::path& directory) {
  return directory / kDisk;
}

fs::path snapshot_state(const fs::path& directory) {
  return directory / kState;
}

Result<Snapshot> take_snapshot(const fs::path& home, const SnapshotRequest& request) {
  const fs::path parent = home / "snapshots" / request.image_digest;
  const std::string key = sha256(conditions_of(request).dump()).hex();
  TRY(system::make_directories(parent, 0700));
  const auto lock =
      TRY(system::FileLock::acquire(parent / (key + ".lock"), system::FileLock::Mode::exclusive));
  if (auto found = find_snapshot(parent, key)) {
    return *std::move(found);
  }
  if (request.tell) {
    request.tell("no snapshot of " + request.image + " fits: booting one to make it");
  }
  const fs::path fresh = parent / ("." + key);
  TRY(system::remove_tree(fresh));
  TRY(system::make_directories(fresh, 0700));
  const auto disk = Shot(request, fresh).take();
  if (!disk) {
    (void)system::remove_tree(fresh);
    Error error = disk.error();
    error.context.push_back("while making the snapshot of " + request.image);
    return error;
  }
  const fs::path directory = parent / (key + "." + disk->brief());
  TRY(system::rename_into_place(fresh, directory));
  Snapshot snapshot = TRY(open_snapshot(directory));
  snapshot.made = true;
  return snapshot;
}

namespace {
/// Of all images' snapshots, also those in the making; sorted.
std::vector<fs::path> directories_below(const fs::path& home) {
  std::vector<fs::path> directories;
  std::error_code failure;
  for (const auto& image : fs::directory_iterator(home / "snapshots", failure)) {
    for (const auto& entry : fs::directory_iterator(image.path(), failure)) {
      if (entry.is_directory(failure)) {
        directories.push_back(entry.path());
      }
    }
  }
  std::sort(directories.begin(), directories.end());
  return directories;
}

/// Whether a launch could choose it. One in the making, held by its lock, will be.
bool is_of_use(const fs::path& directory) {
  const std::string name = directory.filename();
  if (name.starts_with(".")) {
    return !system::FileLock::try_acquire(directory.parent_path() / (name.substr(1) + ".lock"),
                                          system::FileLock::Mode::exclusive);
  }
  const auto facts = facts_in(directory);
  return facts && still_fits(*facts).has_value();
}
}  // namespace

Result<std::vector<fs::path>> useless_snapshots(const fs::path& home) {
  std::set<fs::path> used;
  for (const Record& record : TRY(Records(home).load_all())) {
    if (is_damaged(record.instance)) {
      return std::vector<fs::path>();  // it may stand on any
    }
    used.insert(record.snapshot);
  }
  std::vector<fs::path> useless;
  for (const fs::path& directory : directories_below(home)) {
    if (!used.contains(directory) && !is_of_use(directory)) {
      useless.push_back(directory);
    }
  }
  return useless;
}

std::vector<SnapshotHealth> inspect_snapshots(const fs::path& home) {
  std::vector<SnapshotHealth> all;
  for (const fs::path& directory : directories_below(home)) {
    if (!directory.filename().string().starts_with(".")) {
      const auto snapshot = open_snapshot(directory);
      all.push_back({directory, snapshot ? "" : snapshot.error().message});
    }
  }
  return all;
}

Result<void> drop_snapshot(const fs::path& home, const fs::path& directory) {
  for (const Record& record : TRY(Records(home).load_all())) {
    const bool unknown = is_damaged(record.instance);
    if (unknown || record.snapshot == directory) {
      return Error{ErrorKind::conflict,
                   "the disk of " + record.instance.name +
                       (unknown ? ", whose record is damaged, may stand" : " stands") + " on it",
                   "goldmill rm " + record.instance.name + ", and launch another"};
    }
  }
  // Away at once: nobody finds half of one.
  const fs::path gone = directory.parent_path() / (".gone-" + directory.filename().string());
  TRY(system::rename_into_place(directory, gone));
  return system::remove_tree(gone);
}

}  // namespace goldmill::launch
