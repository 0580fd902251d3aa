// SPDX-License-Identifier: GPL-3.0-or-later
// A virtual machine that runs here, under QEMU in its cage: MachineSpec says what, Machine does.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/machine/accelerator.hpp>
#include <goldmill/machine/cage.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::machine {

/// Of an emulated processor, what costs a guest and gives it nothing: virtualization, for which its
/// kernel loads KVM, a fifth level of page tables to walk, and "fast" copies of strings, for which
/// it moves bytes instead of words: QEMU emulates each move by itself.
inline constexpr std::array kCostlyFeatures = {"svm", "la57", "erms"};

enum class Firmware : std::uint8_t { bios, uefi, uefi_secure };
enum class Controller : std::uint8_t { virtio, nvme, pvscsi };

const char* name_of(Firmware firmware);
const char* name_of(Controller controller);

/// A disk as open files: the cage cannot open paths.
struct DiskSpec {
  int file = -1;  ///< open for reading and writing
  std::string format = "qcow2";
  /// What it stands on, nearest first, open for reading: see ImageDisk.
  std::vector<int> backing = {};
  std::string backing_format = "qcow2";
  Controller controller = Controller::virtio;
};

struct NetworkSpec {
  /// unplugged: a card whose cable leads nowhere. A saved state holds nothing of what is behind
  /// it, so that a copy can have another kind.
  enum class Kind : std::uint8_t { none, unplugged, user, tap };
  Kind kind = Kind::none;
  std::string mac;  ///< "52:54:00:12:34:56"
  /// user: 127.0.0.1:ssh_port reaches the guest's port 22; 0: nothing does
  std::uint16_t ssh_port = 0;
  std::string subnet = "10.0.2.0/24";  ///< user: the guest gets .15
  int tap = -1;                        ///< tap: an open, set-up tap device
};

/// A kernel started without firmware or disk boot; used by the probe and by tests.
struct KernelSpec {
  int kernel = -1;
  int initrd = -1;
  std::string command_line;
};

/// Guest memory as an open file instead of QEMU's own.
struct MemoryFile {
  int file = -1;  ///< as long as the memory
  enum class Use : std::uint8_t { shared, copy_on_write };
  Use use = Use::shared;  ///< copy_on_write: what the guest writes stays its own
};

struct MachineSpec {
  std::string name = "goldmill";
  std::string uuid = "";  ///< of the product, as its firmware tells it
  Accelerator accelerator = Accelerator::tcg;
  Bytes memory = 512_MiB;
  std::optional<MemoryFile> memory_file = {};
  int cpus = 1;
  bool display = true;   ///< a VGA card
  bool resumes = false;  ///< waits for a saved state: see load_state()
  bool agent = true;     ///< a port for the guest's agent, which waits there for an identity
  Firmware firmware = Firmware::bios;
  int variables = -1;  ///< UEFI: this machine's own copy of the variables, open for writing
  std::optional<DiskSpec> disk;
  /// Raw disks beside it, open for reading, which the guest cannot write: on virtio, with the
  /// serial numbers "disk0", "disk1", ...
  std::vector<int> more_disks = {};
  /// Names of serial ports beside the agent's, each with a socket: see port_socket().
  std::vector<std::string> ports = {};
  NetworkSpec network;
  std::optional<KernelSpec> kernel;
  /// Private directory that gets qmp.sock, agent.sock, serial.log and qemu.log.
  std::filesystem::path directory;
  CagedProgram::Lifetime lifetime = CagedProgram::Lifetime::with_caller;
  enum class OnReboot : std::uint8_t { end, start_again };
  OnReboot on_reboot = OnReboot::end;
  std::function<Result<void>(pid_t)> before_run = {};  ///< see CagedProgram
  std::vector<int> holds = {};  ///< open files that it keeps open as long as it runs
};

/// Where QEMU finds each thing handed over: numbers in its own descriptor table.
struct HandedNumbers {
  int qmp = -1;
  int agent = -1;
  int serial = -1;
  int memory = -1;
  int disk = -1;
  std::vector<int> backing = {};
  std::vector<int> more_disks = {};
  std::vector<int> ports = {};
  int firmware = -1;
  int variables = -1;
  int tap = -1;
};

/// QEMU's command line. Nothing in it is secret, nothing names a path of the caller.
std::vector<std::string> qemu_arguments(const MachineSpec& spec, const HandedNumbers& numbers);

/// Errors: unavailable (there is no QEMU on this machine).
Result<void> check_qemu();

/// The firmware's files on this machine. Errors: not_found, naming Debian's ovmf package.
std::filesystem::path firmware_code(Firmware firmware);
std::filesystem::path firmware_variables(Firmware firmware);

/// A process by number and start time, which no later process shares.
struct ProcessIdentity {
  pid_t id = -1;
  std::uint64_t start_time = 0;  ///< clock ticks since boot, proc(5) field 22
  std::string boot_id;           ///< this boot of the host
};
/// Errors: not_found.
Result<ProcessIdentity> identify(pid_t id);
/// Processor time that it has used so far. Errors: not_found.
Result<double> processor_seconds(pid_t id);
/// Since it was started; the machine's sleep counts.
double uptime_seconds(const ProcessIdentity& process);
/// What it takes of this machine's memory, where what several share counts for each in part.
/// Nothing when we may not look.
std::optional<Bytes> proportional_memory(pid_t id);
/// True when exactly this process still runs (a zombie does not).
bool is_alive(const ProcessIdentity& process);

class Machine {
 public:
  /// Starts QEMU and returns when its control socket stands. Errors: unavailable (no QEMU, no
  /// cage), tool_failed with QEMU's own words.
  static Result<Machine> start(const MachineSpec& spec);
  Machine(Machine&& other) noexcept;
  Machine& operator=(Machine&&) = delete;
  /// Kills it, unless detached.
  ~Machine();

  pid_t id() const { return id_; }
  const std::filesystem::path& directory() const { return directory_; }
  /// What is weaker than it should be, or "".
  const std::string& warning() const { return warning_; }
  /// Exit status once it has ended.
  std::optional<int> poll();
  std::optional<int> wait(std::chrono::milliseconds limit);
  void kill();
  /// Asks the guest to power off by ACPI, waits, then kills. True when it went by itself.
  bool stop(std::chrono::milliseconds limit);
  /// Lets it live on without us.
  pid_t detach();

 private:
  Machine(pid_t id, std::filesystem::path directory, std::string warning)
      : id_(id), directory_(std::move(directory)), warning_(std::move(warning)) {}
  pid_t id_;
  std::filesystem::path directory_;
  std::string warning_;
};

/// Names inside MachineSpec::directory.
constexpr const char* kQmpSocket = "qmp.sock";
constexpr const char* kAgentSocket = "agent.sock";
constexpr const char* kSerialLog = "serial.log";
/// By this name QEMU opens it.
constexpr const char* kSerialFileSet = "/dev/fdset/1";
constexpr const char* kQemuLog = "qemu.log";
/// Of the port at this place in MachineSpec::ports.
std::string port_socket(std::size_t index);

}  // namespace goldmill::machine
