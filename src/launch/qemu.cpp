// SPDX-License-Identifier: GPL-3.0-or-later
// The embedded engine: QEMU processes of this machine, no daemon, state in plain files.
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goldmill/launch/engine.hpp>
#include <goldmill/machine/accelerator.hpp>
#include <goldmill/machine/agent_channel.hpp>
#include <goldmill/machine/dossier.hpp>
#include <goldmill/machine/machine.hpp>
#include <goldmill/machine/qmp.hpp>
#include <goldmill/machine/ssh.hpp>
#include <goldmill/system/memory.hpp>

#include "budget.hpp"
#include "record.hpp"

namespace goldmill::launch {

namespace fs = std::filesystem;

namespace {
using Clock = std::chrono::steady_clock;
using machine::AgentChannel;
using machine::AgentReport;
using machine::Machine;
using machine::MachineSpec;
using system::UniqueFd;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

machine::Identity identity_of(const Record& record, const machine::KeyPair& own) {
  machine::Identity identity;
  identity.hostname = record.instance.hostname;
  identity.instance_id = record.instance.name;
  identity.seed = random_bytes(64);
  identity.user_data = record.user_data;
  for (const UserKey& key : record.keys) {
    identity.keys.push_back({key.user, key.line});
  }
  identity.keys.push_back({record.instance.ssh_user, own.public_line});
  return identity;
}

void take_report(Record& record, const AgentReport& report) {
  if (report.personalised) {
    record.instance.hostname = report.hostname;
    record.instance.machine_id = report.machine_id;
    record.instance.ssh_host_key = report.ssh_host_key;
  }
  if (report.ready) {
    record.instance.state = State::ready;
    record.instance.error.clear();
  }
}

/// The files that one start hands to QEMU.
struct Files {
  UniqueFd image;
  UniqueFd overlay;
  UniqueFd variables;
};

Result<MachineSpec> machine_of(const Record& record, const fs::path& directory, Files& files) {
  MachineSpec spec;
  spec.name = record.instance.name;
  spec.memory = record.memory;
  spec.cpus = record.cpus;
  spec.directory = directory;
  spec.lifetime = machine::CagedProgram::Lifetime::outlives;
  spec.on_reboot = MachineSpec::OnReboot::start_again;
  files.image = TRY(system::open_file(record.disk, O_RDONLY));
  files.overlay = TRY(system::open_file(directory / "disk.qcow2", O_RDWR | O_NOFOLLOW));
  spec.disk =
      machine::DiskSpec{files.overlay.get(), "qcow2", files.image.get(), record.disk_format};
  spec.network.kind = machine::NetworkSpec::Kind::user;
  spec.network.mac = record.mac;
  spec.network.ssh_port = record.instance.ssh_port;
  spec.network.subnet = subnet_of(record.instance.ssh_port);
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
void bound_console(const fs::path& directory) {
  if (auto control = machine::Qmp::connect(directory / machine::kQmpSocket)) {
    const Json ring = {{"type", "ringbuf"}, {"data", {{"size", 65536}}}};
    (void)control->execute("chardev-change", Json{{"id", "serial"}, {"backend", ring}});
  }
}

class QemuEngine final : public Engine {
 public:
  explicit QemuEngine(const fs::path& home) : records_(home) {}

  std::string_view name() const override { return "qemu"; }
  std::string_view summary() const override { return "QEMU processes on this machine; no daemon"; }

  Result<Fleet> launch(const LaunchRequest& request, const Progress& progress) override;
  Result<std::vector<Instance>> list() override;
  Result<Instance> start(const std::string& instance) override;
  Result<void> stop(const std::string& instance, std::chrono::seconds limit) override;
  Result<void> remove(const std::string& instance) override;
  Result<std::vector<std::string>> ssh_arguments(const std::string& instance) override;

 private:
  struct Surroundings {
    machine::KeyPair key;
    machine::AcceleratorChoice accelerator;
    std::chrono::seconds ready_limit{600};
  };

  Result<Surroundings> surroundings(const Record& record) const;
  void start_all(const LaunchRequest& request,
                 std::vector<Record>& records,
                 Fleet& fleet,
                 const std::function<void(const Record&)>& changed);
  Result<Machine> start_machine(Record& record, const Surroundings& around);
  /// Starts and waits until it is ready; what fails stands in the record.
  std::string start_one(Record& record,
                        const Surroundings& around,
                        const std::function<void(const Record&)>& changed);
  void reconcile(Record& record);
  void adopt(Record& record);

  Records records_;
};

Result<QemuEngine::Surroundings> QemuEngine::surroundings(const Record& record) const {
  Surroundings around;
  around.key = TRY(machine::own_key(records_.home()));
  around.accelerator = TRY(machine::choose_accelerator(
      records_.home(), {record.kernel, record.disk, record.disk_format}));
  return around;
}

Result<Machine> QemuEngine::start_machine(Record& record, const Surroundings& around) {
  const fs::path directory = records_.directory(record.instance.name);
  for (int attempt = 1;; ++attempt) {
    Files files;
    MachineSpec spec = TRY(machine_of(record, directory, files));
    spec.accelerator = around.accelerator.kind;
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

std::string QemuEngine::start_one(Record& record,
                                  const Surroundings& around,
                                  const std::function<void(const Record&)>& changed) {
  const auto begin = Clock::now();
  record.instance.state = State::starting;
  record.instance.error.clear();
  record.instance.dossier = Json();
  const auto fail = [this, &record, &changed](const Error& error) {
    record.instance.state = State::failed;
    record.instance.error = error.text();
    record.process.reset();
    (void)records_.save(record);
    changed(record);
  };
  auto started = start_machine(record, around);
  if (!started) {
    fail(started.error());
    return "";
  }
  changed(record);
  const fs::path directory = records_.directory(record.instance.name);
  auto channel = AgentChannel::connect(directory / machine::kAgentSocket);
  Result<AgentReport> report = Error{ErrorKind::unavailable, "no agent"};
  if (channel) {
    machine::BootWatch watch(directory);
    report = channel->personalise(
        identity_of(record, around.key),
        {AgentChannel::Goal::ready, around.ready_limit, [&watch] { return watch.pointless(); }});
  } else {
    report = channel.error();
  }
  if (!report) {
    const auto dossier = machine::collect_dossier(directory, directory / "screen.ppm");
    started->kill();
    Error error = report.error();
    error.message += "; " + dossier.likely_cause;
    fail(error);
    record.instance.dossier = machine::to_json(dossier);
    (void)records_.save(record);
    return started->warning();
  }
  bound_console(directory);
  take_report(record, *report);
  record.instance.ready_seconds = seconds_since(begin);
  (void)records_.save(record);
  std::string warning = started->warning();
  started->detach();
  changed(record);
  return warning;
}

void QemuEngine::start_all(const LaunchRequest& request,
                           std::vector<Record>& records,
                           Fleet& fleet,
                           const std::function<void(const Record&)>& changed) {
  auto around = surroundings(records.front());
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  const Budget budget =
      budget_for(request.memory, request.parallel, system::available_memory(), cores);
  if (around) {
    around->ready_limit = request.ready_limit;
    fleet.accelerator = around->accelerator.reason;
  }
  std::atomic<std::size_t> next{0};
  std::mutex warnings_lock;
  const auto work = [&] {
    for (std::size_t i = next++; i < records.size(); i = next++) {
      Record& record = records[i];
      if (record.instance.state == State::failed) {
        changed(record);
        continue;
      }
      if (!around || i >= static_cast<std::size_t>(budget.instances)) {
        record.instance.state = State::failed;
        record.instance.error = !around ? around.error().text()
                                        : "not enough memory: " + to_text(budget.available) +
                                              " are available, and each instance needs " +
                                              to_text(budget.each);
        (void)records_.save(record);
        changed(record);
        continue;
      }
      const std::string warning = start_one(record, *around, changed);
      const std::lock_guard guard(warnings_lock);
      if (!warning.empty() && fleet.warnings.empty()) {
        fleet.warnings.push_back(warning);
      }
    }
  };
  std::vector<std::thread> threads;
  const auto count = std::min(static_cast<std::size_t>(budget.parallel), records.size());
  for (std::size_t i = 1; i < count; ++i) {
    threads.emplace_back(work);
  }
  work();
  for (std::thread& thread : threads) {
    thread.join();
  }
}

Result<Fleet> QemuEngine::launch(const LaunchRequest& request, const Progress& progress) {
  const auto begin = Clock::now();
  if (request.count < 1 || request.count > 10000) {
    return Error{ErrorKind::invalid_input,
                 "cannot launch " + std::to_string(request.count) + " instances",
                 "1 to 10000 are possible"};
  }
  auto prepared = TRY(records_.prepare(request).context("while preparing the fleet"));
  Fleet fleet;
  fleet.name = prepared.fleet;
  std::mutex progress_lock;
  const auto changed = [&progress, &progress_lock](const Record& record) {
    if (progress) {
      const std::lock_guard guard(progress_lock);
      progress(record.instance);
    }
  };
  if (request.prepare_only) {
    for (const Record& record : prepared.records) {
      changed(record);
    }
  } else {
    start_all(request, prepared.records, fleet, changed);
  }
  for (Record& record : prepared.records) {
    fleet.instances.push_back(std::move(record.instance));
  }
  fleet.seconds = seconds_since(begin);
  return fleet;
}

/// One whose launcher died before it was ready: hears from the agent how far it came.
void QemuEngine::adopt(Record& record) {
  const fs::path directory = records_.directory(record.instance.name);
  const auto key = machine::own_key(records_.home());
  auto channel = AgentChannel::connect(directory / machine::kAgentSocket);
  if (!key || !channel) {
    return;
  }
  const auto report =
      channel->personalise(identity_of(record, *key),
                           {AgentChannel::Goal::ready,
                            std::chrono::milliseconds(1500),
                            {},
                            [&record](const AgentReport& so_far) { take_report(record, so_far); }});
  if (report) {
    take_report(record, *report);
  }
}

void QemuEngine::reconcile(Record& record) {
  Instance& instance = record.instance;
  const bool should_run = instance.state == State::starting || instance.state == State::ready;
  if (!should_run || records_.is_being_launched(instance.fleet)) {
    return;
  }
  const auto guard = records_.lock(instance.name);
  if (record.process && machine::is_alive(*record.process)) {
    if (instance.state == State::starting) {
      adopt(record);
      (void)records_.save(record);
    }
    return;
  }
  const auto now = machine::identify(::getpid());
  const bool other_boot = record.process && now && record.process->boot_id != now->boot_id;
  instance.state = State::stopped;
  instance.error = other_boot        ? "this machine was started anew"
                   : !record.process ? "goldmill ended before it had started it"
                                     : "its QEMU process ended";
  record.process.reset();
  (void)records_.save(record);
}

Result<std::vector<Instance>> QemuEngine::list() {
  std::vector<Instance> instances;
  for (Record& record : TRY(records_.load_all())) {
    if (record.instance.engine == name()) {
      reconcile(record);
      instances.push_back(std::move(record.instance));
    }
  }
  return instances;
}

Result<Instance> QemuEngine::start(const std::string& instance) {
  const auto guard = TRY(records_.lock(instance));
  Record record = TRY(records_.load(instance));
  if (record.process && machine::is_alive(*record.process)) {
    return Error{ErrorKind::conflict, instance + " runs already"};
  }
  const auto around = TRY(surroundings(record));
  start_one(record, around, [](const Record&) {});
  return record.instance;
}

Result<void> QemuEngine::stop(const std::string& instance, std::chrono::seconds limit) {
  Record record = TRY(records_.load(instance));
  const auto guard = TRY(records_.lock(instance));
  const fs::path directory = records_.directory(instance);
  if (record.process && machine::is_alive(*record.process)) {
    auto channel = AgentChannel::connect(directory / machine::kAgentSocket);
    const bool asked = channel && channel->power_off(std::chrono::seconds(30));
    if (!asked) {
      if (auto control = machine::Qmp::connect(directory / machine::kQmpSocket)) {
        (void)control->execute("system_powerdown");
      }
    }
    if (!wait_for_end(*record.process, limit)) {
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
  const Record record = TRY(records_.load(instance));
  if (record.process && machine::is_alive(*record.process)) {
    TRY(kill_process(*record.process));
  }
  return records_.erase(instance);
}

Result<std::vector<std::string>> QemuEngine::ssh_arguments(const std::string& instance) {
  const Record record = TRY(records_.load(instance));
  if (!record.process || !machine::is_alive(*record.process)) {
    return Error{ErrorKind::unavailable, instance + " does not run", "goldmill ps shows what does"};
  }
  if (record.instance.ssh_host_key.empty()) {
    return Error{ErrorKind::unavailable,
                 instance + " has reported no SSH host key",
                 "it is not personalised yet, or its image has no SSH server"};
  }
  machine::SshTarget target;
  target.port = record.instance.ssh_port;
  target.user = record.instance.ssh_user;
  target.private_key = TRY(machine::own_key(records_.home())).private_key;
  target.host_key = record.instance.ssh_host_key;
  target.directory = records_.directory(instance);
  TRY(machine::pin_host_key(target));
  return machine::ssh_arguments(target);
}
}  // namespace

std::unique_ptr<Engine> make_qemu(const fs::path& home) {
  return std::make_unique<QemuEngine>(home);
}

}  // namespace goldmill::launch
