// SPDX-License-Identifier: GPL-3.0-or-later
#include <cerrno>
#include <charconv>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <goldmill/machine/machine.hpp>
#include <goldmill/machine/qmp.hpp>

#include "loopback_guard.hpp"

namespace goldmill::machine {

namespace fs = std::filesystem;
using system::UniqueFd;

namespace {
constexpr const char* kQemu = "/usr/bin/qemu-system-x86_64";
/// All that QEMU can emulate, but for kCostlyFeatures.
std::string emulated_processor() {
  std::string text = "max";
  for (const char* feature : kCostlyFeatures) {
    text += std::string(",") + feature + "=off";
  }
  return text;
}
// QEMU's default of 1 GiB lets one guest's translations fill a host that runs hundreds.
constexpr int kTranslationMiB = 256;
// A resumed guest runs little, and hundreds of them are idle. What a login runs has room, or else
// each translates all of it again (decision 29).
constexpr int kResumedTranslationMiB = 64;
constexpr const char* kGuard = "/guard.so";  // in the cage
constexpr int kFirstBackingSet = 16;  // of file sets: below it are those that a machine has once
constexpr int kFirstMoreSet = 64;     // of the disks beside the first

std::string file_node(const std::string& node, int set, bool read_only) {
  return "driver=file,node-name=" + node + ",filename=/dev/fdset/" + std::to_string(set) +
         (read_only ? ",read-only=on" : ",discard=unmap");
}

class Arguments {
 public:
  Arguments(const MachineSpec& spec, const HandedNumbers& numbers)
      : spec_(spec), numbers_(numbers) {}

  std::vector<std::string> build() {
    add_fixed();
    add_sockets();
    add_firmware();
    add_disk();
    add_more_disks();
    add_network();
    if (spec_.kernel) {
      add("-kernel", "/kernel");
      if (spec_.kernel->initrd >= 0) {
        add("-initrd", "/initrd");
      }
      add("-append", spec_.kernel->command_line);
    }
    return std::move(list_);
  }

 private:
  void add(std::string option, std::string value) {
    list_.push_back(std::move(option));
    list_.push_back(std::move(value));
  }

  void add_file_set(int number, int set) {
    add("-add-fd", "fd=" + std::to_string(number) + ",set=" + std::to_string(set));
  }

  void add_fixed() {
    list_ = {kQemu, "-nodefaults", "-no-user-config", "-display", "none"};
    if (spec_.on_reboot == MachineSpec::OnReboot::end) {
      list_.emplace_back("-no-reboot");
    }
    add("-name", spec_.name);
    if (!spec_.uuid.empty()) {
      add("-uuid", spec_.uuid);
    }
    add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    const bool secure = spec_.firmware == Firmware::uefi_secure;
    std::string machine = std::string("q35,usb=off,vmport=off,smm=") + (secure ? "on" : "off");
    if (spec_.firmware != Firmware::bios) {
      machine += ",pflash0=code,pflash1=variables";
    }
    if (spec_.memory_file) {
      machine += ",memory-backend=memory";
    }
    add("-machine", machine);
    if (spec_.accelerator == Accelerator::kvm) {
      add("-accel", "kvm");
      add("-cpu", "host");
    } else {
      const int translation = spec_.resumes ? kResumedTranslationMiB : kTranslationMiB;
      add("-accel", "tcg,thread=multi,tb-size=" + std::to_string(translation));
      // A kernel without another clock to compare its TSC with would look twice a second whether it
      // still goes right: hundreds of idle guests must not.
      const std::string processor = emulated_processor();
      add("-cpu", spec_.memory_file ? processor + ",tsc=off" : processor);
    }
    add_memory();
    add("-smp", std::to_string(spec_.cpus));
    if (spec_.display) {
      add("-device", "VGA");
    }
    add("-object", "rng-builtin,id=entropy");
    add("-device", "virtio-rng-pci,rng=entropy");
  }

  void add_memory() {
    const std::string size = std::to_string(spec_.memory.value >> 20U) + "M";
    add("-m", size);
    if (spec_.memory_file) {
      const bool shared = spec_.memory_file->use == MemoryFile::Use::shared;
      add("-object",
          "memory-backend-file,id=memory,size=" + size + ",mem-path=/fds/" +
              std::to_string(numbers_.memory) + ",share=" + (shared ? "on" : "off"));
    }
    if (spec_.resumes) {
      add("-incoming", "defer");
      list_.emplace_back("-S");
    }
  }

  void add_sockets() {
    add("-chardev", "socket,id=control,fd=" + std::to_string(numbers_.qmp) + ",server=on,wait=off");
    add("-mon", "chardev=control,mode=control");
    add("-device", "virtio-serial-pci");
    if (spec_.agent) {
      add("-chardev",
          "socket,id=agent,fd=" + std::to_string(numbers_.agent) + ",server=on,wait=off");
      add("-device", "virtserialport,chardev=agent,name=" + std::string(kAgentPort));
    }
    for (std::size_t index = 0; index < numbers_.ports.size(); ++index) {
      const std::string id = "port" + std::to_string(index);
      add("-chardev",
          "socket,id=" + id + ",fd=" + std::to_string(numbers_.ports[index]) +
              ",server=on,wait=off");
      add("-device", "virtserialport,chardev=" + id + ",name=" + spec_.ports.at(index));
    }
    add_file_set(numbers_.serial, 1);
    add("-chardev", "file,id=serial,path=" + std::string(kSerialFileSet) + ",append=on");
    add("-device", "isa-serial,chardev=serial");
  }

  void add_firmware() {
    if (spec_.firmware == Firmware::bios) {
      return;
    }
    add_file_set(numbers_.firmware, 2);
    add_file_set(numbers_.variables, 3);
    add("-blockdev", file_node("code", 2, true));
    add("-blockdev", "driver=file,node-name=variables,filename=/dev/fdset/3");
    if (spec_.firmware == Firmware::uefi_secure) {
      add("-global", "driver=cfi.pflash01,property=secure,value=on");
    }
  }

  /// The name of the nearest node; "" without one. A node names what it stands on, so that comes
  /// first on the command line.
  std::string add_backing() {
    std::string below;
    for (std::size_t index = numbers_.backing.size(); index-- > 0;) {
      const std::string name = "base" + std::to_string(index);
      const int set = kFirstBackingSet + static_cast<int>(index);
      add_file_set(numbers_.backing[index], set);
      add("-blockdev", file_node(name + "-file", set, true));
      add("-blockdev",
          "driver=" + spec_.disk->backing_format + ",node-name=" + name + ",file=" + name +
              "-file,read-only=on" + (below.empty() ? "" : ",backing=" + below));
      below = name;
    }
    return below;
  }

  void add_disk() {
    if (!spec_.disk) {
      return;
    }
    const DiskSpec& disk = *spec_.disk;
    std::string top = "driver=" + disk.format + ",node-name=disk,file=disk-file,discard=unmap";
    const std::string base = add_backing();
    top += base.empty() ? "" : ",backing=" + base;
    add_file_set(numbers_.disk, 4);
    add("-blockdev", file_node("disk-file", 4, false));
    add("-blockdev", top);
    switch (disk.controller) {
      case Controller::virtio:
        add("-device", "virtio-blk-pci,drive=disk,bootindex=1");
        break;
      case Controller::nvme:
        add("-device", "nvme,drive=disk,serial=goldmill,bootindex=1");
        break;
      case Controller::pvscsi:
        add("-device", "pvscsi,id=scsi");
        add("-device", "scsi-hd,bus=scsi.0,drive=disk,bootindex=1");
        break;
    }
  }

  void add_more_disks() {
    for (std::size_t index = 0; index < numbers_.more_disks.size(); ++index) {
      const std::string name = "disk" + std::to_string(index);
      const int set = kFirstMoreSet + static_cast<int>(index);
      add_file_set(numbers_.more_disks[index], set);
      add("-blockdev", file_node(name + "-file", set, true));
      add("-blockdev", "driver=raw,node-name=" + name + ",file=" + name + "-file,read-only=on");
      add("-device", "virtio-blk-pci,drive=" + name + ",serial=" + name);
    }
  }

  void add_network() {
    const NetworkSpec& network = spec_.network;
    if (network.kind == NetworkSpec::Kind::none) {
      return;
    }
    if (network.kind == NetworkSpec::Kind::unplugged) {
      add("-netdev", "hubport,id=network,hubid=1");
    } else if (network.kind == NetworkSpec::Kind::user) {
      add("-netdev",
          "user,id=network,ipv6=off,net=" + network.subnet +
              (network.ssh_port == 0
                   ? ""
                   : ",hostfwd=tcp:127.0.0.1:" + std::to_string(network.ssh_port) + "-:22"));
    } else {
      add("-netdev", "tap,id=network,fd=" + std::to_string(numbers_.tap));
    }
    add("-device", "virtio-net-pci,netdev=network,romfile=,mac=" + network.mac);
  }

  const MachineSpec& spec_;
  const HandedNumbers& numbers_;
  std::vector<std::string> list_;
};
}  // namespace

const char* name_of(Firmware firmware) {
  switch (firmware) {
    case Firmware::bios:
      return "bios";
    case Firmware::uefi:
      return "uefi";
    case Firmware::uefi_secure:
      return "uefi-secure";
  }
  return "";
}

const char* name_of(Controller controller) {
  switch (controller) {
    case Controller::virtio:
      return "virtio";
    case Controller::nvme:
      return "nvme";
    case Controller::pvscsi:
      return "pvscsi";
  }
  return "";
}

std::string port_socket(std::size_t index) {
  return "port" + std::to_string(index) + ".sock";
}

std::vector<std::string> qemu_arguments(const MachineSpec& spec, const HandedNumbers& numbers) {
  return Arguments(spec, numbers).build();
}

fs::path firmware_code(Firmware firmware) {
  return firmware == Firmware::uefi_secure ? "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
                                           : "/usr/share/OVMF/OVMF_CODE_4M.fd";
}

fs::path firmware_variables(Firmware firmware) {
  return firmware == Firmware::uefi_secure ? "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"
                                           : "/usr/share/OVMF/OVMF_VARS_4M.fd";
}

namespace {
/// Fields of /proc/PID/stat from the state on; the name before it may hold anything.
Result<std::vector<std::string>> stat_fields(pid_t id) {
  const std::string content =
      TRY(system::read_file("/proc/" + std::to_string(id) + "/stat", 4_KiB));
  const std::size_t name_end = content.rfind(')');
  std::vector<std::string> fields;
  std::string_view rest = std::string_view(content).substr(
      name_end == std::string::npos ? content.size() : name_end + 1);
  while (!rest.empty()) {
    const std::size_t start = rest.find_first_not_of(" \n");
    if (start == std::string_view::npos) {
      break;
    }
    rest.remove_prefix(start);
    const std::size_t end = std::min(rest.find_first_of(" \n"), rest.size());
    fields.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end);
  }
  if (fields.size() < 20) {
    return Error{ErrorKind::not_found, "no process " + std::to_string(id)};
  }
  return fields;
}

std::string boot_id() {
  const auto content = system::read_file("/proc/sys/kernel/random/boot_id", 4_KiB);
  return content ? content->substr(0, 36) : "";
}
}  // namespace

Result<ProcessIdentity> identify(pid_t id) {
  const auto fields = TRY(stat_fields(id));
  ProcessIdentity identity{id, 0, boot_id()};
  const std::string& start = fields[19];
  std::from_chars(start.data(), start.data() + start.size(), identity.start_time);
  return identity;
}

Result<double> processor_seconds(pid_t id) {
  const auto fields = TRY(stat_fields(id));
  double ticks = 0;
  for (const std::size_t at : {11U, 12U}) {  // proc(5): utime and stime, the 14th and 15th field
    std::int64_t count = 0;
    std::from_chars(fields[at].data(), fields[at].data() + fields[at].size(), count);
    ticks += static_cast<double>(count);
  }
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double uptime_seconds(const ProcessIdentity& process) {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9 -
         static_cast<double>(process.start_time) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::optional<Bytes> proportional_memory(pid_t id) {
  const auto content = system::read_file("/proc/" + std::to_string(id) + "/smaps_rollup", 64_KiB);
  const std::string text = content ? *content : "";
  const std::size_t line = text.find("\nPss:");
  if (line == std::string::npos) {
    return std::nullopt;
  }
  const std::size_t digits = text.find_first_not_of(' ', line + 5);
  std::uint64_t kibibytes = 0;
  std::from_chars(
      text.data() + std::min(digits, text.size()), text.data() + text.size(), kibibytes);
  return Bytes{kibibytes << 10U};
}

bool is_alive(const ProcessIdentity& process) {
  const auto fields = stat_fields(process.id);
  if (!fields || (*fields)[0] == "Z" || (*fields)[0] == "X" || boot_id() != process.boot_id) {
    return false;
  }
  return (*fields)[19] == std::to_string(process.start_time);
}

namespace {
/// The open files of one start, and the numbers under which QEMU gets them.
class HandOver {
 public:
  Result<void> open(const MachineSpec& spec) {
    numbers_.qmp = give(TRY(listen_unix(spec.directory / kQmpSocket)));
    if (spec.agent) {
      numbers_.agent = give(TRY(listen_unix(spec.directory / kAgentSocket)));
    }
    numbers_.serial = give(TRY(system::open_file(
        spec.directory / kSerialLog, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC, 0600)));
    log_ = TRY(system::open_file(
        spec.directory / kQemuLog, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC, 0600));
    if (spec.firmware != Firmware::bios) {
      auto code = system::open_file(firmware_code(spec.firmware), O_RDONLY);
      if (!code) {
        code.error().hint = "install Debian's ovmf package";
        return std::move(code).error();
      }
      numbers_.firmware = give(std::move(code).value());
      numbers_.variables = lend(spec.variables);
    }
    if (spec.memory_file) {
      numbers_.memory = lend(spec.memory_file->file);
    }
    if (spec.disk) {
      numbers_.disk = lend(spec.disk->file);
      for (const int file : spec.disk->backing) {
        numbers_.backing.push_back(lend(file));
      }
    }
    for (const int file : spec.more_disks) {
      numbers_.more_disks.push_back(lend(file));
    }
    for (std::size_t index = 0; index < spec.ports.size(); ++index) {
      numbers_.ports.push_back(give(TRY(listen_unix(spec.directory / port_socket(index)))));
    }
    if (spec.network.kind == NetworkSpec::Kind::tap) {
      numbers_.tap = lend(spec.network.tap);
    }
    if (spec.network.kind == NetworkSpec::Kind::user) {
      guard_ = TRY(system::memory_file(loopback_guard()));
    }
    for (const int file : spec.holds) {
      lend(file);
    }
    return {};
  }

  const HandedNumbers& numbers() const { return numbers_; }
  const std::vector<system::HandedFd>& descriptors() const { return descriptors_; }
  int log() const { return log_.get(); }
  int guard() const { return guard_.get(); }
  /// When QEMU has its copies: its end must be visible on the sockets.
  void let_go() { kept_.clear(); }

 private:
  int lend(int ours) {
    descriptors_.push_back({ours, next_});
    return next_++;
  }
  int give(UniqueFd ours) {
    const int number = lend(ours.get());
    kept_.push_back(std::move(ours));
    return number;
  }

  HandedNumbers numbers_;
  std::vector<system::HandedFd> descriptors_;
  std::vector<UniqueFd> kept_;
  UniqueFd log_;
  UniqueFd guard_;
  int next_ = 10;
};

CagedProgram caged_qemu(const MachineSpec& spec, const HandOver& hand_over) {
  CagedProgram program;
  program.argv = qemu_arguments(spec, hand_over.numbers());
  program.descriptors = hand_over.descriptors();
  program.output = hand_over.log();
  program.lifetime = spec.lifetime;
  program.before_run = spec.before_run;
  program.shows_descriptors = spec.memory_file.has_value();
  program.small_pages = spec.resumes;
  if (spec.accelerator == Accelerator::kvm) {
    program.devices = {"/dev/kvm"};
  }
  if (spec.network.kind == NetworkSpec::Kind::user) {
    program.files.push_back({hand_over.guard(), kGuard});
    program.preload = kGuard;
  } else {
    program.network = CagedProgram::Network::none;
  }
  if (spec.kernel) {
    program.files.push_back({spec.kernel->kernel, "/kernel"});
    if (spec.kernel->initrd >= 0) {
      program.files.push_back({spec.kernel->initrd, "/initrd"});
    }
  }
  return program;
}

Error qemu_ended(int status, const fs::path& directory) {
  const auto log = system::read_file(directory / kQemuLog, 1_MiB);
  std::string words = log ? *log : "";
  while (!words.empty() && words.back() == '\n') {
    words.pop_back();
  }
  const std::size_t line = words.rfind('\n');
  words = words.substr(line == std::string::npos ? 0 : line + 1).substr(0, 500);
  return Error{ErrorKind::tool_failed,
               "QEMU ended at once with status " + std::to_string(status) + ": " +
                   (words.empty() ? "it said nothing" : words)};
}
}  // namespace

Result<void> check_qemu() {
  if (::access(kQemu, X_OK) != 0) {
    return Error{ErrorKind::unavailable,
                 std::string("there is no ") + kQemu,
                 "install Debian's qemu-system-x86 package"};
  }
  return {};
}

Result<Machine> Machine::start(const MachineSpec& spec) {
  TRY(check_qemu());
  HandOver hand_over;
  TRY(hand_over.open(spec).context("while preparing the machine " + spec.name));
  const CagedProcess process =
      TRY(start_caged(caged_qemu(spec, hand_over)).context("while starting " + spec.name));
  hand_over.let_go();
  Machine machine(process.id, spec.directory, process.warning);
  // The socket accepts before QEMU runs; its greeting says that the machine was built.
  const auto control = Qmp::connect(spec.directory / kQmpSocket, std::chrono::seconds(20));
  if (const auto status = machine.wait(std::chrono::milliseconds(control ? 0 : 500))) {
    return qemu_ended(*status, spec.directory);
  }
  if (!control) {
    return Error(control.error());
  }
  return machine;
}

Machine::Machine(Machine&& other) noexcept
    : id_(std::exchange(other.id_, -1)),
      directory_(std::move(other.directory_)),
      warning_(std::move(other.warning_)) {}

Machine::~Machine() {
  kill();
}

std::optional<int> Machine::poll() {
  if (id_ <= 0) {
    return 0;
  }
  int raw = 0;
  const pid_t ended = ::waitpid(id_, &raw, WNOHANG);
  if (ended == 0) {
    return std::nullopt;
  }
  id_ = -1;
  return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

std::optional<int> Machine::wait(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (true) {
    const auto status = poll();
    if (status || std::chrono::steady_clock::now() >= end) {
      return status;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void Machine::kill() {
  if (id_ > 0) {
    ::kill(id_, SIGKILL);
    while (::waitpid(id_, nullptr, 0) < 0 && errno == EINTR) {
    }
    id_ = -1;
  }
}

bool Machine::stop(std::chrono::milliseconds limit) {
  if (auto control = Qmp::connect(directory_ / kQmpSocket)) {
    (void)control->execute("system_powerdown");
  }
  const bool went = wait(limit).has_value();
  kill();
  return went;
}

pid_t Machine::detach() {
  return std::exchange(id_, -1);
}

}  // namespace goldmill::machine
