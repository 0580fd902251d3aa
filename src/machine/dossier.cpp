// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/machine/dossier.hpp>
#include <goldmill/machine/machine.hpp>
#include <goldmill/machine/qmp.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::machine {

namespace fs = std::filesystem;

namespace {
constexpr std::size_t kLongestShown = 500;
constexpr std::size_t kTail = 64U << 10U;
constexpr auto kBetweenLooks = std::chrono::seconds(5);

struct Pattern {
  std::string_view sign;
  std::string_view text;
  std::string_view hint;
  bool fatal;
};

// The first that matches wins: the more special stand first.
constexpr std::array kPatterns = {
    Pattern{"VFS: Unable to mount root fs",
            "the kernel panicked: it found no root file system",
            "the initramfs lacks the driver of the disk's controller, or root= names another disk",
            true},
    Pattern{"Out of memory and no killable processes",
            "the guest ran out of memory while booting",
            "give it more with --memory",
            true},
    Pattern{"System is deadlocked on memory",
            "the guest ran out of memory while booting",
            "give it more with --memory",
            true},
    Pattern{"not enough memory",
            "the boot loader or initramfs did not fit in memory",
            "give it more with --memory",
            false},
    Pattern{"out of memory",
            "the guest ran out of memory while booting",
            "give it more with --memory",
            false},
    Pattern{"Attempted to kill init",
            "the kernel panicked: the first program of the system died",
            "look for its last words above the panic",
            true},
    Pattern{"No working init found",
            "the kernel panicked: the root file system has no /sbin/init",
            "is systemd-sysv among the packages?",
            true},
    Pattern{"Kernel panic", "the kernel panicked", "look at the lines above the panic", true},
    Pattern{"ALERT!",
            "the initramfs waited in vain for the root disk",
            "root= or the initramfs's modules do not fit the disk's controller",
            true},
    Pattern{"(initramfs)",
            "the boot ended at the initramfs's shell",
            "root= or the initramfs's modules do not fit the disk",
            true},
    Pattern{"You are in emergency mode",
            "systemd went into emergency mode",
            "a mount of /etc/fstab or a needed unit failed; see the [FAILED] lines",
            true},
    Pattern{"Cannot open access to console, the root account is locked",
            "systemd went into emergency mode (root is locked, so no shell came)",
            "a mount of /etc/fstab or a needed unit failed; see the [FAILED] lines",
            true},
    Pattern{"grub rescue>",
            "GRUB did not find its files and stopped at its rescue prompt",
            "the boot partition or GRUB's prefix does not fit the disk",
            true},
    Pattern{"error: no such device",
            "GRUB did not find the file system that it looked for",
            "the label or UUID in grub.cfg does not fit the disk",
            false},
    Pattern{"error: file `",
            "GRUB did not find a file that grub.cfg names",
            "are the links to the kernel and initramfs there?",
            false},
    Pattern{"No bootable device",
            "the firmware found nothing to boot from",
            "the disk has no boot loader for this firmware",
            true},
    Pattern{"BdsDxe: No bootable option",
            "the UEFI firmware found nothing to boot from",
            "is there an EFI system partition with EFI/BOOT/BOOTX64.EFI?",
            true},
    Pattern{"startup.nsh",
            "the UEFI firmware found nothing to boot from and went to its shell",
            "is there an EFI system partition with EFI/BOOT/BOOTX64.EFI, and does this firmware "
            "know the disk's controller?",
            true},
    Pattern{"Security Violation",
            "Secure Boot refused the boot loader",
            "its signature is missing or not by a known key",
            true},
    Pattern{"Access Denied",
            "Secure Boot refused the boot loader",
            "its signature is missing or not by a known key",
            false},
    Pattern{"Boot failed: not a bootable disk",
            "the disk has no boot code",
            "the disk has no boot loader for BIOS",
            false},
};

bool contains(std::string_view text, std::string_view sign) {
  return text.find(sign) != std::string_view::npos;
}

/// "A start job is running for X (1min / no limit)": the unit that systemd waits for.
std::string waited_for(std::string_view serial) {
  constexpr std::string_view kSign = "job is running for ";
  const std::size_t at = serial.rfind(kSign);
  if (at == std::string_view::npos) {
    return "";
  }
  const std::string_view rest = serial.substr(at + kSign.size(), 200);
  return std::string(rest.substr(0, rest.find_first_of("(\r\n\x1b")));
}

Cause cause_by_progress(std::string_view serial, std::string_view screen) {
  const std::string unit = waited_for(serial);
  if (!unit.empty()) {
    return {"systemd still waited for: " + safe_tail(unit, 1).front(),
            "that unit hangs; its log inside says why"};
  }
  if (contains(serial, "login:")) {
    return {"the system came up, but its agent did not report",
            "is the agent installed and enabled in the image?"};
  }
  if (contains(serial, "systemd[1]") || contains(serial, "Reached target")) {
    return {"the system was still starting when the time was up",
            "give it more time, or see which unit comes last"};
  }
  if (contains(serial, "Linux version") || contains(serial, "] Command line:")) {
    return {"the kernel started but did not reach systemd", "see the kernel's last lines"};
  }
  if (contains(serial, "GRUB") || contains(screen, "GRUB")) {
    return {"GRUB started, but no kernel spoke on the serial port",
            "does the kernel's command line say console=ttyS0?"};
  }
  if (contains(screen, "Booting from Hard Disk")) {
    return {"the firmware started the disk's boot code, and nothing came after it",
            "the boot loader hangs or writes to no console"};
  }
  return {"nothing was written to the serial port",
          "the firmware did not get as far as a boot loader that speaks"};
}
}  // namespace

Cause likely_cause(std::string_view serial, std::string_view screen) {
  for (const Pattern& pattern : kPatterns) {
    if (contains(serial, pattern.sign) || contains(screen, pattern.sign)) {
      return {std::string(pattern.text), std::string(pattern.hint)};
    }
  }
  return cause_by_progress(serial, screen);
}

bool has_fatal_sign(std::string_view serial) {
  return std::any_of(kPatterns.begin(), kPatterns.end(), [serial](const Pattern& pattern) {
    return pattern.fatal && contains(serial, pattern.sign);
  });
}

namespace {
/// Length of the terminal escape sequence at the start of `text` (ECMA-48 CSI, or two bytes).
std::size_t escape_length(std::string_view text) {
  if (text.size() < 2 || text[1] != '[') {
    return std::min<std::size_t>(text.size(), 2);
  }
  std::size_t end = 2;
  while (end < text.size() && end < 32 && (text[end] < 0x40 || text[end] > 0x7e)) {
    ++end;
  }
  return std::min(end + 1, text.size());
}

std::string safe_line(std::string_view line) {
  std::string safe;
  while (!line.empty() && safe.size() < kLongestShown) {
    const auto byte = static_cast<unsigned char>(line.front());
    if (byte == 0x1b) {
      line.remove_prefix(escape_length(line));
      continue;
    }
    line.remove_prefix(1);
    if (byte == '\t' || (byte >= 0x20 && byte < 0x7f)) {
      safe += byte == '\t' ? ' ' : static_cast<char>(byte);
    } else if (byte != '\r') {
      std::array<char, 8> text{};
      (void)std::snprintf(text.data(), text.size(), "\\x%02x", byte);
      safe += text.data();
    }
  }
  return safe;
}
}  // namespace

std::vector<std::string> safe_tail(std::string_view text, std::size_t lines) {
  std::vector<std::string> tail;
  while (!text.empty() && tail.size() < lines) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) {
      text.remove_suffix(1);
    }
    const std::size_t start = text.rfind('\n');
    const std::size_t from = start == std::string_view::npos ? 0 : start + 1;
    std::string line = safe_line(text.substr(from));
    if (!line.empty()) {
      tail.push_back(std::move(line));
    }
    text = text.substr(0, from);
  }
  std::reverse(tail.begin(), tail.end());
  return tail;
}

std::string read_serial_tail(const fs::path& directory) {
  const auto file = system::open_file(directory / kSerialLog, O_RDONLY | O_NOFOLLOW);
  struct stat status {};
  if (!file || ::fstat(file->get(), &status) != 0) {
    return "";
  }
  std::string content(kTail, '\0');
  const off_t start = std::max<off_t>(0, status.st_size - static_cast<off_t>(kTail));
  const ssize_t count = ::pread(file->get(), content.data(), content.size(), start);
  content.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return content;
}

namespace {
/// The 80x25 characters at the VGA card's text memory, read by the monitor's `xp`.
std::vector<std::string> text_screen(Qmp& control) {
  const auto answer =
      control.execute("human-monitor-command", Json{{"command-line", "xp /4000xb 0xb8000"}});
  if (!answer || !answer->is_string()) {
    return {};
  }
  const std::string dump = answer->get<std::string>();
  std::string bytes;
  for (std::size_t at = dump.find("0x"); at != std::string::npos; at = dump.find("0x", at + 2)) {
    unsigned value = 0;
    const char* start = dump.data() + at + 2;
    const auto end = std::from_chars(start, dump.data() + std::min(at + 4, dump.size()), value, 16);
    if (end.ptr == start + 2) {
      bytes += static_cast<char>(value);
    }
  }
  std::vector<std::string> lines;
  for (std::size_t row = 0; row < 25 && (row + 1) * 160 <= bytes.size(); ++row) {
    std::string line;
    for (std::size_t column = 0; column < 80; ++column) {
      const char c = bytes[row * 160 + column * 2];
      line += c >= 0x20 && c < 0x7f ? c : ' ';
    }
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(line);
  }
  while (!lines.empty() && lines.back().empty()) {
    lines.pop_back();
  }
  return lines;
}

bool take_screenshot(Qmp& control, const fs::path& picture) {
  constexpr int kSet = 90;
  const auto file = system::open_file(picture, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
  if (!file || !control.execute("add-fd", Json{{"fdset-id", kSet}}, file->get())) {
    return false;
  }
  const bool done =
      control.execute("screendump", Json{{"filename", "/dev/fdset/" + std::to_string(kSet)}})
          .has_value();
  (void)control.execute("remove-fd", Json{{"fdset-id", kSet}});
  return done;
}
}  // namespace

std::optional<Error> BootWatch::pointless() {
  std::error_code ignored;
  const auto written = fs::file_size(directory_ / kSerialLog, ignored);
  if (!ignored && written > kMostSerial.value) {
    return Error{ErrorKind::tool_failed, "it wrote more than 16 MiB to its console"};
  }
  const std::string serial = read_serial_tail(directory_);
  if (has_fatal_sign(serial)) {
    return Error{ErrorKind::tool_failed, "the boot failed"};
  }
  const auto now = std::chrono::steady_clock::now();
  if (!serial.empty() || now - last_look_ < kBetweenLooks) {
    return std::nullopt;
  }
  last_look_ = now;
  if (auto control = Qmp::connect(directory_ / kQmpSocket)) {
    for (const std::string& line : text_screen(*control)) {
      if (has_fatal_sign(line)) {
        return Error{ErrorKind::tool_failed, "the boot failed"};
      }
    }
  }
  return std::nullopt;
}

Dossier collect_dossier(const fs::path& directory, const fs::path& screenshot) {
  Dossier dossier;
  const std::string serial = read_serial_tail(directory);
  if (auto control = Qmp::connect(directory / kQmpSocket, std::chrono::seconds(10))) {
    dossier.screen = text_screen(*control);
    if (!screenshot.empty() && take_screenshot(*control, screenshot)) {
      dossier.screenshot = screenshot;
    }
  }
  std::string screen;
  for (const std::string& line : dossier.screen) {
    screen += line + "\n";
  }
  const Cause cause = likely_cause(serial, screen);
  dossier.likely_cause = cause.text;
  dossier.hint = cause.hint;
  dossier.serial_tail = safe_tail(serial, 60);
  const auto log = system::read_file(directory / kQemuLog, 1_MiB);
  for (const std::string& line : safe_tail(log ? *log : "", 10)) {
    dossier.qemu_log += line + "\n";
  }
  return dossier;
}

Json to_json(const Dossier& dossier) {
  return {{"likely_cause", dossier.likely_cause},
          {"hint", dossier.hint},
          {"serial_tail", dossier.serial_tail},
          {"screen", dossier.screen},
          {"screenshot", dossier.screenshot},
          {"qemu_log", dossier.qemu_log}};
}

}  // namespace goldmill::machine
