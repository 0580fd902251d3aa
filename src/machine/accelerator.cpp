// SPDX-License-Identifier: GPL-3.0-or-later
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/base/json.hpp>
#include <goldmill/machine/accelerator.hpp>
#include <goldmill/machine/dossier.hpp>
#include <goldmill/machine/machine.hpp>
#include <goldmill/machine/overlay.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::machine {

namespace fs = std::filesystem;
using system::UniqueFd;

// The size and time of the program: it changes with every upgrade, and costs no start.
std::string qemu_version() {
  std::string version;
  // Its firmware is a package of its own, and is part of what runs in a saved machine.
  for (const char* file : {"/usr/bin/qemu-system-x86_64", "/usr/share/seabios/bios-256k.bin"}) {
    struct stat status {};
    if (::stat(file, &status) == 0) {
      version += (version.empty() ? "" : " ") + std::to_string(status.st_size) + "-" +
                 std::to_string(status.st_mtime);
    }
  }
  return version;
}

namespace {
constexpr auto kProbeLimit = std::chrono::seconds(9);

std::string host_boot_id() {
  const auto content = system::read_file("/proc/sys/kernel/random/boot_id", 4_KiB);
  return content ? content->substr(0, 36) : "";
}

std::string cache_key() {
  return host_boot_id() + " " + qemu_version();
}

std::optional<AcceleratorChoice> cached(const fs::path& file) {
  const auto content = system::read_file(file, 64_KiB);
  const auto json = parse_json(content ? *content : "", "accelerator.json");
  if (!json || find_string(*json, "key") != cache_key()) {
    return std::nullopt;
  }
  const auto kind = find_string(*json, "accelerator");
  const auto reason = find_string(*json, "reason");
  if (!kind || !reason) {
    return std::nullopt;
  }
  return AcceleratorChoice{*kind == "kvm" ? Accelerator::kvm : Accelerator::tcg, *reason};
}

/// What the probing machine needs to stay open while it runs.
struct Opened {
  UniqueFd kernel;
  ImageDisk disk;
  UniqueFd overlay;
};

Result<MachineSpec> probe_machine(const ProbeSubject& subject,
                                  const fs::path& scratch,
                                  Opened& opened) {
  MachineSpec spec;
  spec.name = "probe";
  spec.accelerator = Accelerator::kvm;
  spec.memory = 256_MiB;
  spec.directory = scratch;
  if (!subject.kernel.empty()) {
    opened.kernel = TRY(system::open_file(subject.kernel, O_RDONLY));
    spec.kernel = KernelSpec{opened.kernel.get(), -1, "console=ttyS0 earlyprintk=ttyS0 panic=-1"};
    return spec;
  }
  opened.disk = TRY(ImageDisk::open(subject.disk, subject.disk_format));
  const fs::path overlay = scratch / "disk.qcow2";
  TRY(write_overlay(overlay,
                    {subject.disk.string(),
                     subject.disk_format,
                     TRY(virtual_size(subject.disk, subject.disk_format))}));
  opened.overlay = TRY(system::open_file(overlay, O_RDWR));
  spec.disk = DiskSpec{opened.overlay.get(), "qcow2", opened.disk.files(), subject.disk_format};
  return spec;
}

/// "" when a kernel spoke under KVM; else why not. Errors: what hindered the probe itself, and may
/// be gone the next time.
Result<std::string> probe(const ProbeSubject& subject, const fs::path& home) {
  const auto scratch = TRY(system::TemporaryDirectory::make(home, "probe."));
  Opened opened;
  const MachineSpec spec = TRY(probe_machine(subject, scratch.path(), opened));
  auto started = Machine::start(spec);
  if (!started) {
    const bool by_qemu = started.error().kind == ErrorKind::tool_failed;
    return by_qemu ? Result<std::string>(started.error().message) : started.error();
  }
  Machine machine = std::move(started).value();
  const auto end = std::chrono::steady_clock::now() + kProbeLimit;
  while (std::chrono::steady_clock::now() < end) {
    // A kernel's own line: its version, or a time stamp once the console stands.
    const std::string serial = read_serial_tail(scratch.path());
    if (serial.find("Linux version") != std::string::npos ||
        serial.find("] ") != std::string::npos) {
      return std::string();
    }
    if (const auto status = machine.wait(std::chrono::milliseconds(100))) {
      return "QEMU ended with status " + std::to_string(*status) + " when a kernel started";
    }
  }
  return std::string("a kernel started under it and said nothing for 9 seconds");
}

AcceleratorChoice emulation(const std::string& why) {
  return {Accelerator::tcg, "emulation: " + why};
}

/// As an earlier probe has shown, or one shows now.
Result<AcceleratorChoice> probed(const ProbeSubject& subject, const fs::path& home) {
  TRY(system::make_directories(home, 0700));
  const auto lock =
      TRY(system::FileLock::acquire(home / "accelerator.lock", system::FileLock::Mode::exclusive));
  const fs::path file = home / "accelerator.json";
  if (auto known = cached(file)) {
    return *std::move(known);
  }
  const auto failure = probe(subject, home);
  if (!failure) {
    return emulation("/dev/kvm cannot be tried: " + failure.error().text());
  }
  const AcceleratorChoice choice =
      failure->empty() ? AcceleratorChoice{Accelerator::kvm, "KVM: a kernel really ran under it"}
                       : emulation("/dev/kvm is there but does not work: " + *failure);
  const Json record = {
      {"key", cache_key()}, {"accelerator", name_of(choice.kind)}, {"reason", choice.reason}};
  TRY(system::write_file(
      file, record.dump(2, ' ', false, Json::error_handler_t::replace) + "\n", 0600));
  return choice;
}
}  // namespace

const char* name_of(Accelerator accelerator) {
  return accelerator == Accelerator::kvm ? "kvm" : "tcg";
}

Result<AcceleratorChoice> choose_accelerator(const fs::path& home, const ProbeSubject& subject) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
  const char* forced = std::getenv("GOLDMILL_ACCELERATOR");
  if (forced != nullptr && *forced != '\0') {
    const std::string_view value = forced;
    if (value != "tcg" && value != "kvm") {
      return Error{ErrorKind::invalid_input,
                   "GOLDMILL_ACCELERATOR is '" + std::string(value) + "'",
                   "set it to tcg or kvm"};
    }
    return AcceleratorChoice{value == "kvm" ? Accelerator::kvm : Accelerator::tcg,
                             "GOLDMILL_ACCELERATOR says so"};
  }
  const UniqueFd device(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!device) {
    return emulation(system_error("/dev/kvm cannot be opened", errno).text());
  }
  if (subject.kernel.empty() && subject.disk.empty()) {
    return emulation("there is nothing to try /dev/kvm with");
  }
  return probed(subject, home);
}

}  // namespace goldmill::machine
