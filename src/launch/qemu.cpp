// SPDX-License-Identifier: GPL-3.0-or-later
// The embedded engine: QEMU processes of this machine, no daemon, state in plain files.
#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <goldmill/launch/engine.hpp>
#include <goldmill/machine/accelerator.hpp>
#include <goldmill/machine/agent_channel.hpp>
#include <goldmill/machine/dossier.hpp>
#include <goldmill/machine/machine.hpp>
#include <goldmill/machine/overlay.hpp>
#include <goldmill/machine/qmp.hpp>
#include <goldmill/machine/saved_state.hpp>
#include <goldmill/machine/ssh.hpp>
#include <goldmill/machine/tap.hpp>
#include <goldmill/system/memory.hpp>
#include <goldmill/system/side_by_side.hpp>

#include "budget.hpp"
#include "greeting.hpp"
#include "lan.hpp"
#include "record.hpp"
#include "snapshot.hpp"

namespace goldmill::launch {

namespace fs = std::filesystem;

namespace {
using Clock = std::chrono::steady_clock;
using machine::AgentChannel;
using machine::AgentReport;
using machine::Machine;
using machine::MachineSpec;
using system::UniqueFd;

/// The files that one start hands to QEMU.
struct Files {
  machine::ImageDisk image;
  UniqueFd snapshot;
  UniqueFd overlay;
  UniqueFd variables;
  UniqueFd tap;
  std::optional<Lan> lan;
};

Result<machine::NetworkSpec> network_of(const Record& record, const fs::path& home, Files& files) {
  machine::NetworkSpec network;
  network.mac = record.mac;
  if (!record.network.is_shared()) {
    network.kind = machine::NetworkSpec::Kind::user;
    network.ssh_port = record.instance.ssh_port;
    network.subnet = subnet_of(record.instance.ssh_port);
    return network;
  }
  network.kind = machine::NetworkSpec::Kind::tap;
  if (record.network.kind == Network::Kind::netns) {
    files.lan.emplace(TRY(Lan::join(home, record.network.name)));
    files.tap = TRY(files.lan->plug_in());
  } else {
    files.tap = TRY(machine::open_tap_on(record.network.name)).file;
  }
  network.tap = files.tap.get();
  return network;
}

Result<MachineSpec> machine_of(const Record& record, const Records& records, Files& files) {
  const fs::path directory = records.directory(record.instance.name);
  MachineSpec spec;
  spec.name = record.instance.name;
  spec.uuid = record.uuid;
  spec.memory = record.memory;
  spec.cpus = record.cpus;
  spec.directory = directory;
  spec.lifetime = machine::CagedProgram::Lifetime::outlives;
  spec.on_reboot = MachineSpec::OnReboot::start_again;
  files.image = TRY(machine::ImageDisk::open(record.disk, record.disk_format));
  files.overlay = TRY(system::open_file(directory / "disk.qcow2", O_RDWR | O_NOFOLLOW));
  spec.disk =
      machine::DiskSpec{files.overlay.get(), "qcow2", files.image.files(), record.disk_format};
  if (!record.snapshot.empty()) {
    files.snapshot = TRY(system::open_file(snapshot_disk(record.snapshot), O_RDONLY | O_NOFOLLOW));
    spec.disk->backing.insert(spec.disk->backing.begin(), files.snapshot.get());
    spec.display = false;
  }
  spec.network = TRY(network_of(record, records.home(), files));
  if (files.lan) {
    spec.holds = {files.lan->membership()};
  }
  if (record.uefi) {
    spec.firmware = machine::Firmware::uefi;
    const fs::path own = directory / "variables.fd";
    std::error_code ignored;
    if (!fs::exists(own, ignored)) {
      TRY(system::write_file(
          own, TRY(system::read_file(machine::firmware_variables(spec.firmware), 64_MiB)), 0600));
    }
    files.variables = TRY(system::open_file(own, O_RDWR));
    spec.variables = files.variables.get();
  }
  return spec;
}

/// Waits for the end of a process that need not be our child. False when the time passed.
bool wait_for_end(const machine::ProcessIdentity& process, std::chrono::milliseconds limit) {
  const UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, process.id, 0)));
  if (handle && machine::is_alive(process)) {
    pollfd wait{handle.get(), POLLIN, 0};
    (void)::poll(&wait, 1, static_cast<int>(limit.count()));
  }
  (void)::waitpid(process.id, nullptr, WNOHANG);  // when it is our own child
  return !machine::is_alive(process);
}

Result<void> kill_process(const machine::ProcessIdentity& process) {
  // By descriptor: the number may belong to another process at any moment.
  const UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, process.id, 0)));
  if (handle && machine::is_alive(process)) {
    ::syscall(SYS_pidfd_send_signal, handle.get(), SIGKILL, nullptr, 0);
  }
  if (!wait_for_end(process, std::chrono::seconds(20))) {
    return Error{ErrorKind::tool_failed,
                 "process " + std::to_string(process.id) + " cannot be killed"};
  }
  return {};
}

/// A guest in use may write to its console for ever: from now on the last 64 KiB stay in memory.
void bound_console(machine::Qmp& control) {
  const Json ring = {{"type", "ringbuf"}, {"data", {{"size", 65536}}}};
  (void)control.execute("chardev-change", Json{{"id", "serial"}, {"backend", ring}});
}

void bound_console(const fs::path& directory) {
  if (auto control = machine::Qmp::connect(directory / machine::kQmpSocket)) {
    bound_console(*control);
  }
}

/// Looked at once for all that this process starts.
Result<std::shared_ptr<const Snapshot>> checked_snapshot(const fs::path& directory) {
  static std::mutex lock;
  static std::map<fs::path, std::shared_ptr<const Snapshot>> checked;
  const std::lock_guard guard(lock);
  auto& snapshot = checked[directory];
  if (snapshot == nullptr) {
    snapshot = std::make_shared<const Snapshot>(TRY(open_snapshot(directory)));
  }
  return snapshot;
}

/// Ends what still runs of an instance whose record is damaged: its socket is there as long.
Result<void> end_unknown(const fs::path& directory) {
  const fs::path socket = directory / machine::kQmpSocket;
  if (auto control = machine::Qmp::connect(socket)) {
    (void)control->execute("quit");
  }
  const auto end = Clock::now() + std::chrono::seconds(20);
  while (machine::connect_unix(socket)) {
    if (Clock::now() > end) {
      return Error{ErrorKind::tool_failed,
                   "its QEMU does not end, and its record, which knew its number, is damaged",
                   "end the qemu-system-x86_64 process that says '-name " +
                       directory.filename().string() + "', then try again"};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return {};
}

/// Why a guest stands still though its QEMU lives: one that writes where this machine's disk has no
/// room left is paused, and stays so when there is room again. Nothing: it runs.
std::optional<Error> reason_of_pause(const std::string& instance, const fs::path& directory) {
  auto control = machine::Qmp::connect(directory / machine::kQmpSocket);
  const auto answer = control ? control->execute("query-status") : Result<Json>(control.error());
  const auto status = answer ? find_string(*answer, "status") : std::nullopt;
  if (!status || *status == "running" || *status == "suspended") {
    return std::nullopt;
  }
  if (*status == "io-error") {
    return Error{ErrorKind::unavailable,
                 "this machine's disk was full: the instance is paused",
                 "make room, then goldmill start " + instance};
  }
  return Error{ErrorKind::unavailable,
               "QEMU has paused it, and says " + *status,
               "goldmill start " + instance + " lets it go on; stop ends it"};
}

bool has_little_room(const fs::path& directory) {
  std::error_code failure;
  const fs::space_info space = fs::space(directory, failure);
  return !failure && space.available < (1_GiB).value;
}

/// Why it is no use to wait for a guest any longer, for who asks a few times a second.
class Patience {
 public:
  explicit Patience(const Record& record, fs::path directory)
      : instance_(record.instance.name), directory_(std::move(directory)) {}

  std::optional<Error> reason_to_give_up() {
    if (Clock::now() < next_ || !has_little_room(directory_)) {
      return std::nullopt;
    }
    next_ = Clock::now() + std::chrono::seconds(2);
    return reason_of_pause(instance_, directory_);
  }

 private:
  std::string instance_;
  fs::path directory_;
  Clock::time_point next_ = Clock::now();
};

std::chrono::nanoseconds unix_time() {
  return std::chrono::system_clock::now().time_since_epoch();
}

class QemuEngine final : public Engine {
 public:
  explicit QemuEngine(const fs::path& home) : records_(home) {}

  std::string_view name() const override { return "qemu"; }
  std::string_view summary() const override { return "QEMU processes on this machine; no daemon"; }

  Result<Fleet> launch(const LaunchRequest& request, const Progress& progress) override;
  Result<Warmth> warm(const LaunchRequest& request) override;
  bool has(const std::string& instance) const override { return records_.has(instance, name()); }
  Result<std::vector<Instance>> list() override;
  Result<Instance> start(const std::string& instance) override;
  Result<void> stop(const std::string& instance, std::chrono::seconds limit) override;
  Result<void> remove(const std::string& instance) override;
  Result<UniqueFd> console(const std::string& instance) override;
  Result<machine::SshTarget> ssh_target(const std::string& instance) override;
  Result<UniqueFd> connect(const std::string& instance, std::uint16_t port) override;

 private:
  /// Errors: not_found; unavailable, when it does not run.
  Result<Record> running(const std::string& instance) const;

  struct Surroundings {
    machine::KeyPair key;
    machine::AcceleratorChoice accelerator;
    std::chrono::seconds ready_limit{600};
    const Snapshot* snapshot = nullptr;  ///< from which instances go on; none: they boot
    bool is_launch = false;              ///< instances may be removed before they start
  };

  Result<Surroundings> surroundings(const fs::path& kernel,
                                    const fs::path& disk,
                                    const std::string& disk_format) const;
  Result<Snapshot> snapshot_for(const LaunchRequest& request) const;
  void start_all(const LaunchRequest& request,
                 std::vector<Record>& records,
                 Fleet& fleet,
                 const Snapshot* snapshot,
                 const std::function<void(const Record&)>& changed);
  Result<Machine> start_machine(Record& record, const Surroundings& around);
  Result<Machine> run_machine(Record& record, const Surroundings& around);
  Result<AgentReport> boot(const Record& record, const Surroundings& around) const;
  Result<AgentReport> resume(const Record& record, const Surroundings& around) const;
  /// Starts and waits until it is ready; what fails stands in the record.
  std::string start_one(Record& record,
                        const Surroundings& around,
                        const std::function<void(const Record&)>& changed);
  Result<Instance> go_on(Record& record) const;
  void reconcile(Record& record, const LookLimits& limits);
  std::optional<Error> adopt(Record& record, const LookLimits& limits);
  bool is_used(const Network& network) const;
  void learn_address(Record& record, const LookLimits& limits);
  std::optional<Instance> look_at(Record& record, const LookLimits& limits);

  Records records_;
};

Result<QemuEngine::Surroundings> QemuEngine::surroundings(const fs::path& kernel,
                                                          const fs::path& disk,
                                                          const std::string& disk_format) const {
  Surroundings around;
  around.key = TRY(machine::own_key(records_.home()));
  around.accelerator =
      TRY(machine::choose_accelerator(records_.home(), {kernel, disk, disk_format}));
  return around;
}

Result<Snapshot> QemuEngine::snapshot_for(const LaunchRequest& request) const {
  if (request.uefi) {
    return Error{ErrorKind::invalid_input,
                 "a warm instance does not start by UEFI",
                 "leave --uefi or --warm out: the firmware only matters at a boot"};
  }
  const auto around =
      TRY(surroundings(request.kernel, fs::absolute(request.disk), request.disk_format));
  SnapshotRequest wanted;
  wanted.image = request.image;
  wanted.image_digest = request.image_digest;
  wanted.disk = fs::absolute(request.disk);
  wanted.disk_format = request.disk_format;
  wanted.disk_size = TRY(disk_size_of(request));
  wanted.memory = request.memory;
  wanted.cpus = request.cpus;
  wanted.kernel_boot = request.kernel_boot;
  wanted.accelerator = around.accelerator.kind;
  wanted.ready_limit = request.ready_limit;
  wanted.tell = request.tell;
  return take_snapshot(records_.home(), wanted);
}

Result<Warmth> QemuEngine::warm(const LaunchRequest& request) {
  const auto begin = Clock::now();
  const Snapshot snapshot = TRY(snapshot_for(request));
  return Warmth{snapshot.directory, snapshot.made, snapshot.bytes, seconds_since(begin)};
}

Result<Machine> QemuEngine::start_machine(Record& record, const Surroundings& around) {
  if (!around.is_launch) {
    return run_machine(record, around);
  }
  const auto guard = TRY(records_.lock_to_launch(record));
  return run_machine(record, around);
}

Result<Machine> QemuEngine::run_machine(Record& record, const Surroundings& around) {
  for (int attempt = 1;; ++attempt) {
    Files files;
    MachineSpec spec = TRY(machine_of(record, records_, files));
    spec.accelerator = around.accelerator.kind;
    if (around.snapshot != nullptr) {
      spec.resumes = true;
      spec.memory_file = machine::MemoryFile{around.snapshot->memory.get(),
                                             machine::MemoryFile::Use::copy_on_write};
    }
    // Recorded before it runs: a crash of ours never leaves a machine that nobody knows.
    spec.before_run = [this, &record](pid_t id) -> Result<void> {
      record.process = TRY(machine::identify(id));
      return records_.save(record);
    };
    auto started = Machine::start(spec);
    const bool port_taken =
        !started && started.error().message.find("host forwarding") != std::string::npos;
    if (!port_taken || attempt == 3) {
      return started;
    }
    TRY(records_.change_port(record));
  }
}

Result<AgentReport> QemuEngine::boot(const Record& record, const Surroundings& around) const {
  const fs::path directory = records_.directory(record.instance.name);
  AgentChannel channel = TRY(AgentChannel::connect(directory / machine::kAgentSocket));
  machine::BootWatch watch(directory);
  Patience patience(record, directory);
  const auto give_up = [&] {
    auto reason = watch.pointless();
    return reason ? reason : patience.reason_to_give_up();
  };
  AgentReport report = TRY(channel.personalise(
      identity_of(record, around.key), {AgentChannel::Goal::ready, around.ready_limit, give_up}));
  bound_console(directory);
  return with_address(record, channel, std::move(report));
}

/// Its cable is plugged in when it is somebody: before, it must not be reached.
Result<AgentReport> QemuEngine::resume(const Record& record, const Surroundings& around) const {
  const fs::path directory = records_.directory(record.instance.name);
  machine::Qmp control = TRY(machine::Qmp::connect(directory / machine::kQmpSocket));
  AgentChannel channel = TRY(AgentChannel::connect(directory / machine::kAgentSocket));
  const UniqueFd state =
      TRY(system::open_file(snapshot_state(record.snapshot), O_RDONLY | O_NOFOLLOW));
  TRY(machine::load_state(control, state.get()));
  TRY(machine::set_link(control, false));
  bound_console(control);
  TRY(control.execute("cont"));
  machine::Resumption resumption;
  resumption.identity = identity_of(record, around.key);
  resumption.mac = record.mac;
  if (!record.network.is_shared()) {
    resumption.network = guest_network_of(record.instance.ssh_port);
  }
  resumption.unix_time = unix_time();
  Patience patience(record, directory);
  AgentReport report = TRY(channel.resume(
      resumption, around.ready_limit, [&patience] { return patience.reason_to_give_up(); }));
  TRY(check_identity(report));
  TRY(machine::set_link(control, true));
  return with_address(record, channel, std::move(report));
}

std::string QemuEngine::start_one(Record& record,
                                  const Surroundings& around,
                                  const std::function<void(const Record&)>& changed) {
  const auto begin = Clock::now();
  record.instance.state = State::starting;
  record.instance.error.clear();
  record.instance.warnings.clear();
  record.instance.dossier = Json();
  record.resumes = around.snapshot != nullptr;
  const auto fail = [this, &record, &changed](const Error& error) {
    set_failed(record, error.text());
    (void)records_.save(record);
    changed(record);
  };
  auto started = start_machine(record, around);
  if (!started) {
    fail(started.error());
    return "";
  }
  changed(record);
  const auto greeted = [&]() -> Result<void> {
    const AgentReport report =
        TRY(around.snapshot != nullptr ? resume(record, around) : boot(record, around));
    take_report(record, report);
    TRY(check_identity(report));
    record.instance.ready_seconds = seconds_since(begin);
    // Whoever looks would take one for lost of which is not known that it is ready.
    return records_.save(record);
  }();
  if (!greeted) {
    const fs::path directory = records_.directory(record.instance.name);
    const auto dossier = machine::collect_dossier(directory, directory / "screen.ppm");
    const auto status = started->wait(std::chrono::milliseconds(200));  // it may just be ending
    started->kill();
    Error error = greeted.error();
    if (status) {
      error.message += "; QEMU ended with status " + std::to_string(*status);
    } else if (around.snapshot == nullptr && record.instance.state != State::ready) {
      error.message += "; " + dossier.likely_cause;
    }
    record.instance.dossier = machine::to_json(dossier);
    fail(error);
    return started->warning();
  }
  std::string warning = started->warning();
  started->detach();
  changed(record);
  return warning;
}

void QemuEngine::start_all(const LaunchRequest& request,
                           std::vector<Record>& records,
                           Fleet& fleet,
                           const Snapshot* snapshot,
                           const std::function<void(const Record&)>& changed) {
  const Record& first = records.front();
  auto around = surroundings(first.kernel, first.disk, first.disk_format);
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  const Budget budget = budget_for(request, system::available_memory(), cores);
  fleet.budget = to_text(budget);
  if (around) {
    around->snapshot = snapshot;
    around->is_launch = true;
    around->ready_limit = request.ready_limit;
    fleet.accelerator = around->accelerator.reason;
  }
  std::mutex warnings_lock;
  const auto work = [&](std::size_t i) {
    Record& record = records[i];
    if (record.instance.state == State::failed) {
      changed(record);
      return;
    }
    if (!around || i >= static_cast<std::size_t>(budget.instances)) {
      set_failed(record,
                 (!around ? around.error() : no_room(budget.available, budget.each)).text());
      (void)records_.save(record);
      changed(record);
      return;
    }
    const std::string warning = start_one(record, *around, changed);
    const std::lock_guard guard(warnings_lock);
    if (!warning.empty() && fleet.warnings.empty()) {
      fleet.warnings.push_back(warning);
    }
  };
  system::side_by_side(records.size(), static_cast<std::size_t>(budget.parallel), work);
}

Result<Fleet> QemuEngine::launch(const LaunchRequest& request, const Progress& progress) {
  const auto begin = Clock::now();
  if (request.count < 1 || request.count > 10000) {
    return Error{ErrorKind::invalid_input,
                 "cannot launch " + std::to_string(request.count) + " instances",
                 "1 to 10000 are possible"};
  }
  if (request.network.kind == Network::Kind::network) {
    return Error{ErrorKind::invalid_input,
                 "--network " + request.network.text() + " is of libvirt, not of QEMU",
                 "give user, netns or bridge=NAME, or launch with --engine libvirt"};
  }
  if (request.network.kind == Network::Kind::bridge) {
    TRY(machine::open_tap_on(request.network.name));  // said once, before anything is prepared
  }
  std::optional<Snapshot> snapshot;
  if (request.warm) {
    snapshot.emplace(TRY(snapshot_for(request)));
  }
  auto prepared = TRY(records_.prepare(request, snapshot ? snapshot->directory : fs::path())
                          .context("while preparing the fleet"));
  Fleet fleet;
  fleet.name = prepared.fleet;
  const auto changed = [&progress](const Record& record) { progress(record.instance); };
  if (request.prepare_only) {
    for (const Record& record : prepared.records) {
      changed(record);
    }
  } else {
    start_all(request, prepared.records, fleet, snapshot ? &*snapshot : nullptr, changed);
  }
  for (Record& record : prepared.records) {
    fleet.instances.push_back(std::move(record.instance));
  }
  fleet.seconds = seconds_since(begin);
  return fleet;
}

std::optional<Error> QemuEngine::adopt(Record& record, const LookLimits& limits) {
  // A copy of a running guest booted long ago and asks for no identity.
  if (record.resumes) {
    return Error{ErrorKind::conflict, "goldmill ended before it had given it its identity"};
  }
  const fs::path directory = records_.directory(record.instance.name);
  const auto key = machine::own_key(records_.home());
  auto channel = AgentChannel::connect(directory / machine::kAgentSocket);
  const auto objection =
      key && channel ? launch::adopt(record, *key, *channel, limits.guests) : std::nullopt;
  if (record.instance.state == State::ready) {
    bound_console(directory);
  }
  return objection;
}

/// Of one on a bridge that had none when it got ready.
void QemuEngine::learn_address(Record& record, const LookLimits& limits) {
  if (!record.network.is_shared() || record.instance.state != State::ready ||
      !record.instance.address.empty() || records_.is_being_launched(record.instance.fleet)) {
    return;
  }
  const auto guard = records_.lock_until(limits.others, record);
  auto channel =
      AgentChannel::connect(records_.directory(record.instance.name) / machine::kAgentSocket);
  if (!guard || !channel) {
    return;
  }
  if (const auto report = channel->status(time_left(limits.guests))) {
    take_report(record, *report);
    (void)records_.save(record);
  }
}

void QemuEngine::reconcile(Record& record, const LookLimits& limits) {
  Instance& instance = record.instance;
  const auto is_alive = [&] { return record.process && machine::is_alive(*record.process); };
  const fs::path directory = records_.directory(instance.name);
  std::optional<Error> pause;
  const auto is_settled = [&] {
    const bool runs = instance.state == State::ready && is_alive();
    pause = runs ? reason_of_pause(instance.name, directory) : std::nullopt;
    return !should_run(record) || (runs && !pause);
  };
  if (is_settled() || records_.is_being_launched(instance.fleet)) {
    return;
  }
  const auto guard = records_.lock_until(limits.others, record);
  if (!guard || is_settled()) {
    return;
  }
  if (pause) {
    instance.state = State::stopped;
    instance.error = pause->text();
    (void)records_.save(record);
    return;
  }
  const bool unheard = is_alive();
  const auto objection = unheard ? adopt(record, limits) : std::nullopt;
  if (unheard && !objection) {
    (void)records_.save(record);
    return;
  }
  if (objection) {
    (void)kill_process(*record.process);
  }
  const auto now = machine::identify(::getpid());
  const bool other_boot = record.process && now && record.process->boot_id != now->boot_id;
  instance.state = State::stopped;
  instance.error = objection         ? objection->text()
                   : other_boot      ? "this machine was started anew"
                   : !record.process ? "goldmill ended before it had started it"
                                     : "its QEMU process ended";
  record.process.reset();
  (void)records_.save(record);
}

/// One as it really is; nothing when it is over or was removed while it waited for its turn.
std::optional<Instance> QemuEngine::look_at(Record& record, const LookLimits& limits) {
  if (is_over(record.instance) && remove(record.instance.name)) {
    return std::nullopt;
  }
  reconcile(record, limits);
  learn_address(record, limits);
  if (std::error_code ignored; !fs::exists(records_.directory(record.instance.name), ignored)) {
    return std::nullopt;
  }
  if (record.process && machine::is_alive(*record.process)) {
    record.instance.uptime_seconds = machine::uptime_seconds(*record.process);
    record.instance.memory = machine::proportional_memory(record.process->id);
  }
  return std::move(record.instance);
}

Result<std::vector<Instance>> QemuEngine::list() {
  std::vector<Record> records = TRY(records_.load_all(name()));
  std::vector<std::optional<Instance>> seen(records.size());
  const LookLimits limits;
  system::side_by_side(
      records.size(), kLooksAtOnce, [&](std::size_t i) { seen[i] = look_at(records[i], limits); });
  std::vector<Instance> instances;
  for (std::optional<Instance>& instance : seen) {
    if (instance) {
      instances.push_back(*std::move(instance));
    }
  }
  return instances;
}

Result<Instance> QemuEngine::start(const std::string& instance) {
  Record record = TRY(records_.load(instance));
  const auto guard = TRY(records_.lock_to_start(record));
  if (record.process && machine::is_alive(*record.process)) {
    return go_on(record);
  }
  auto around = TRY(surroundings(record.kernel, record.disk, record.disk_format));
  // One that was only prepared goes on from its snapshot; later its disk has a life of its own.
  std::shared_ptr<const Snapshot> snapshot;
  if (record.instance.state == State::prepared && !record.snapshot.empty()) {
    snapshot = TRY(checked_snapshot(record.snapshot));
    TRY(check_fit(*snapshot, around.accelerator.kind));
    around.snapshot = snapshot.get();
  }
  const Bytes available = system::available_memory();
  const Bytes each = memory_of_one(record.memory, snapshot != nullptr);
  if (available < each) {
    return no_room(available, each);
  }
  start_one(record, around, [](const Record&) {});
  return record.instance;
}

/// What was paused, as when its disk had no room.
Result<Instance> QemuEngine::go_on(Record& record) const {
  const fs::path directory = records_.directory(record.instance.name);
  if (!reason_of_pause(record.instance.name, directory)) {
    return Error{ErrorKind::conflict, "it runs already"};
  }
  machine::Qmp control = TRY(machine::Qmp::connect(directory / machine::kQmpSocket));
  TRY(control.execute("cont"));
  record.instance.state = State::ready;
  record.instance.error.clear();
  TRY(records_.save(record));
  return record.instance;
}

Result<void> QemuEngine::stop(const std::string& instance, std::chrono::seconds limit) {
  Record record = TRY(records_.load(instance));
  const auto guard = TRY(records_.lock_to_stop(record));
  const auto end = Clock::now() + limit;
  const fs::path directory = records_.directory(instance);
  if (record.process && machine::is_alive(*record.process)) {
    auto channel = AgentChannel::connect(directory / machine::kAgentSocket);
    const bool asked = channel && channel->power_off(time_to_answer(limit));
    if (!asked) {
      if (auto control = machine::Qmp::connect(directory / machine::kQmpSocket)) {
        (void)control->execute("system_powerdown");
      }
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (!wait_for_end(*record.process, std::max(left, std::chrono::milliseconds(0)))) {
      TRY(kill_process(*record.process));
    }
  }
  record.process.reset();
  if (record.instance.state != State::prepared) {
    record.instance.state = State::stopped;
    record.instance.error.clear();
  }
  return records_.save(record);
}

Result<void> QemuEngine::remove(const std::string& instance) {
  auto loaded = records_.load(instance);
  if (!loaded && loaded.error().kind == ErrorKind::corrupt) {
    TRY(end_unknown(records_.directory(instance)));
    return records_.erase(instance);
  }
  Record record = TRY(std::move(loaded));
  const auto kill = [&record]() -> Result<void> {
    const bool alive = record.process && machine::is_alive(*record.process);
    return alive ? kill_process(*record.process) : Result<void>();
  };
  TRY(kill());  // whoever starts or stops it gives up, and the lock
  const auto guard = TRY(records_.lock(record));
  TRY(kill());
  TRY(records_.erase(instance));
  if (record.network.kind == Network::Kind::netns && !records_.has_fleet(record.instance.fleet) &&
      !is_used(record.network)) {
    Lan::forget(records_.home(), record.network.name);
  }
  return {};
}

bool QemuEngine::is_used(const Network& network) const {
  const auto records = records_.load_all();
  return !records ||
         std::any_of(records->begin(), records->end(), [&network](const Record& record) {
           return record.network.text() == network.text();
         });
}

Result<Record> QemuEngine::running(const std::string& instance) const {
  Record record = TRY(records_.load(instance));
  if (!record.process || !machine::is_alive(*record.process)) {
    return Error{ErrorKind::unavailable, instance + " does not run", "goldmill ps shows what does"};
  }
  return record;
}

Result<UniqueFd> QemuEngine::console(const std::string& instance) {
  const Record record = TRY(running(instance));
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return system_error("cannot make a pair of sockets", errno);
  }
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  auto control = TRY(machine::Qmp::connect(records_.directory(instance) / machine::kQmpSocket));
  TRY(control.execute("getfd", Json{{"fdname", "console"}}, theirs.get()));
  const Json address = {{"type", "fd"}, {"data", {{"str", "console"}}}};
  Json socket = {{"type", "socket"}, {"data", {{"addr", address}, {"server", false}}}};
  if (record.instance.state == State::starting) {  // its launcher reads there how it boots
    socket["data"]["logfile"] = machine::kSerialFileSet;
    socket["data"]["logappend"] = true;
  }
  TRY(control.execute("chardev-change", Json{{"id", "serial"}, {"backend", socket}}));
  return ours;
}

Result<machine::SshTarget> QemuEngine::ssh_target(const std::string& instance) {
  Record record = TRY(running(instance));
  learn_address(record, LookLimits());
  return ssh_target_of(record, records_);
}

Result<UniqueFd> QemuEngine::connect(const std::string& instance, std::uint16_t port) {
  Record record = TRY(running(instance));
  learn_address(record, LookLimits());
  if (record.network.kind != Network::Kind::netns) {
    return Engine::connect(instance, port);
  }
  if (record.instance.address.empty()) {
    return Error{ErrorKind::unavailable, instance + " has no address yet"};
  }
  Lan lan = TRY(Lan::find(records_.home(), record.network.name));
  return lan.connect(record.instance.address, port);
}

}  // namespace

std::unique_ptr<Engine> make_qemu(const fs::path& home) {
  return std::make_unique<QemuEngine>(home);
}

}  // namespace goldmill::launch
