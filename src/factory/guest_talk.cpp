// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest_talk.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/base/utf8.hpp>
#include <goldmill/machine/machine.hpp>
#include <goldmill/machine/qmp.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::factory {

namespace fs = std::filesystem;

namespace {
constexpr const char* kPort = "org.goldmill.step.0";
constexpr const char* kLogPort = "org.goldmill.log.0";
constexpr const char* kUnitName = "goldmill-build-step.service";
constexpr std::size_t kLongestLine = 4096;
constexpr std::size_t kMostAnswer = 16U << 20;
constexpr std::size_t kTailLines = 20;
constexpr const char* kInput = "/run/goldmill/.input";

constexpr std::string_view kUnit =
    "[Unit]\n"
    "Description=What a step of a build runs in this system\n"
    "After=multi-user.target\n"
    "[Service]\n"
    "ExecStart=/bin/sh /usr/lib/goldmill/build-step\n";

/// dd reads exactly as many bytes as it is told, whoever wrote it: what follows is the next line.
/// Each program finds what was shown for it and nothing of the one before.
constexpr std::string_view kScript = R"sh(#!/bin/sh
exec 3<>/dev/virtio-ports/org.goldmill.step.0 4>/dev/virtio-ports/org.goldmill.log.0
room=/run/goldmill
covered=
take() { dd bs=65536 count="$1" iflag=count_bytes,fullblock status=none <&3; }
uncover() { [ -z "$covered" ] || umount -l $room; covered=; }
echo "up $(systemctl is-system-running --wait)" >&3
while read -r verb number size path <&3; do
  case $verb in
    begin)
      uncover
      mkdir -p $room
      mount -t tmpfs -o mode=0755 tmpfs $room && covered=yes ;;
    disk)
      mkdir -p "$path"
      mount -o ro "/dev/disk/by-id/virtio-disk$number-part1" "$path" >&4 2>&4 ;;
    file)
      mkdir -p "${path%/*}"
      take "$size" > "$path"
      chmod "$number" "$path" ;;
    run)
      take "$size" > $room/.program
      sh $room/.program > $room/.answer 2>&4 3>&- 4>&-
      status=$?
      echo "done $status $(stat -c %s $room/.answer)" >&3
      cat $room/.answer >&3 ;;
    end)
      uncover
      systemctl --no-block poweroff
      break ;;
  esac
done
)sh";

/// The image's own surroundings: nothing says here that an image is being made.
std::string program_text(const plan::Execution& execution) {
  std::string text =
      "exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8"
      " HOME=/root USER=root LOGNAME=root SHELL=/bin/sh TERM=dumb DEBIAN_FRONTEND=noninteractive"
      " DEBCONF_NONINTERACTIVE_SEEN=true";
  for (const auto* words : {&execution.environment, &execution.argv}) {
    for (const std::string& word : *words) {
      text += " " + system::shell_quoted(word);
    }
  }
  return text + " < " + (execution.input.empty() ? "/dev/null" : kInput) + "\n";
}

Error broken(const std::string& what) {
  return Error{ErrorKind::corrupt, "the booted system does not answer as it should: " + what};
}

/// "done STATUS SIZE".
Result<std::pair<int, std::size_t>> read_done(const std::string& line) {
  int status = 0;
  std::size_t size = 0;
  const char* end = line.data() + line.size();
  if (line.starts_with("done ")) {
    const auto first = std::from_chars(line.data() + 5, end, status);
    const auto second = first.ptr < end ? std::from_chars(first.ptr + 1, end, size) : first;
    if (first.ec == std::errc{} && second.ec == std::errc{} && second.ptr == end) {
      return std::pair(status, size);
    }
  }
  return broken("'" + escape_controls(line.substr(0, 100)) + "' is no end of a program");
}
}  // namespace

std::vector<GuestFile> GuestTalk::files() {
  return {{std::string("/etc/systemd/system/") + kUnitName, kUnit},
          {"/usr/lib/goldmill/build-step", kScript}};
}

// What timers start belongs to instances, and would be in the way here.
std::string GuestTalk::kernel_options() {
  return std::string("systemd.wants=") + kUnitName + " systemd.mask=timers.target";
}

std::vector<std::string> GuestTalk::ports() {
  return {kPort, kLogPort};
}

Result<GuestTalk> GuestTalk::connect(const fs::path& directory, Surroundings surroundings) {
  std::array<system::UniqueFd, 2> sockets;
  for (std::size_t index = 0; index < sockets.size(); ++index) {
    sockets.at(index) = TRY(machine::connect_unix(directory / machine::port_socket(index)));
    ::fcntl(sockets.at(index).get(), F_SETFL, O_NONBLOCK);
  }
  return GuestTalk(std::move(sockets[0]), std::move(sockets[1]), std::move(surroundings));
}

Result<std::string> GuestTalk::await_up(std::chrono::seconds limit) {
  end_ = std::chrono::steady_clock::now() + limit;
  const std::string line = TRY(next_line());
  if (!line.starts_with("up ")) {
    return broken("it does not say that it is up");
  }
  return escape_controls(line.substr(3, 40));
}

Result<std::string> GuestTalk::capture(const plan::Execution& execution,
                                       const std::vector<std::string>& disks,
                                       std::chrono::seconds limit) {
  end_ = std::chrono::steady_clock::now() + limit;
  last_lines_.clear();
  TRY(send("begin\n"));
  for (std::size_t index = 0; index < disks.size(); ++index) {
    TRY(send("disk " + std::to_string(index) + " - " + disks[index] + "\n"));
  }
  for (const plan::Bind& bind : execution.binds) {
    TRY(show(bind));
  }
  if (!execution.input.empty()) {
    TRY(send("file 400 " + std::to_string(execution.input.size()) + " " + kInput + "\n" +
             execution.input));
  }
  const std::string program = program_text(execution);
  TRY(send("run - " + std::to_string(program.size()) + "\n" + program));
  const auto [status, size] = TRY(read_done(TRY(next_line())));
  if (size > kMostAnswer) {
    return Error{ErrorKind::tool_failed, execution.argv[0] + " wrote more than 16 MiB"};
  }
  std::string answer = TRY(next_bytes(size));
  take_log(true);
  if (status != 0) {
    return Error{ErrorKind::tool_failed,
                 execution.argv[0] + " ended with status " + std::to_string(status) + ":" + tail()};
  }
  return answer;
}

/// A file; a directory is one of the disks.
Result<void> GuestTalk::show(const plan::Bind& bind) {
  struct stat status {};
  if (::fstat(bind.source, &status) != 0) {
    return system_error("cannot show " + bind.target, errno);
  }
  if (S_ISDIR(status.st_mode)) {
    return {};
  }
  const auto file =
      TRY(system::open_file("/proc/self/fd/" + std::to_string(bind.source), O_RDONLY | O_CLOEXEC));
  const std::string content = TRY(system::read_all(file.get()).context(bind.target));
  std::array<char, 8> mode{};
  std::to_chars(mode.data(), mode.data() + mode.size(), status.st_mode & 0555, 8);
  return send(std::string("file ") + mode.data() + " " + std::to_string(content.size()) + " " +
              bind.target + "\n" + content);
}

Result<void> GuestTalk::power_off() {
  return send("end\n");
}

Result<void> GuestTalk::wait(short events) {
  if (surroundings_.give_up) {
    if (auto reason = surroundings_.give_up()) {
      return *std::move(reason);
    }
  }
  if (std::chrono::steady_clock::now() > end_) {
    return Error{ErrorKind::cancelled,
                 "the booted system did not finish in time",
                 "look into the step's log what it does there, or raise the limit: "
                 "GOLDMILL_STEP_MINUTES=240"};
  }
  std::array<pollfd, 2> waits = {{{port_.get(), events, 0}, {log_.get(), POLLIN, 0}}};
  (void)::poll(waits.data(), waits.size(), 200);
  take_log(false);
  return {};
}

Result<void> GuestTalk::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(port_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (count < 0 && errno != EAGAIN && errno != EINTR) {
      return Error{ErrorKind::unavailable, "the booted system has ended"};
    } else {
      TRY(wait(POLLOUT));
    }
  }
  return {};
}

Result<void> GuestTalk::receive() {
  std::array<char, 65536> piece{};
  while (true) {
    const ssize_t count = ::read(port_.get(), piece.data(), piece.size());
    if (count > 0) {
      pending_.append(piece.data(), static_cast<std::size_t>(count));
      return {};
    }
    if (count == 0) {
      return Error{ErrorKind::unavailable, "the booted system has ended"};
    }
    TRY(wait(POLLIN));
  }
}

Result<std::string> GuestTalk::next_line() {
  std::size_t end = 0;
  while ((end = pending_.find('\n')) == std::string::npos) {
    if (pending_.size() > kLongestLine) {
      return broken("a line does not end");
    }
    TRY(receive());
  }
  std::string line = pending_.substr(0, end);
  pending_.erase(0, end + 1);
  return line;
}

Result<std::string> GuestTalk::next_bytes(std::size_t count) {
  while (pending_.size() < count) {
    TRY(receive());
  }
  std::string bytes = pending_.substr(0, count);
  pending_.erase(0, count);
  return bytes;
}

void GuestTalk::take_log(bool all) {
  std::array<char, 65536> piece{};
  for (ssize_t count = 0; (count = ::read(log_.get(), piece.data(), piece.size())) > 0;) {
    unfinished_line_.append(piece.data(), static_cast<std::size_t>(count));
  }
  std::size_t start = 0;
  while (start < unfinished_line_.size()) {
    const std::size_t newline = unfinished_line_.find('\n', start);
    const std::size_t end = std::min(newline, start + kLongestLine);
    if (end >= unfinished_line_.size() && !all) {
      break;
    }
    const std::string line = unfinished_line_.substr(start, end - start);
    start = end + (end == newline ? 1 : 0);
    surroundings_.log(line);
    last_lines_.push_back(line);
  }
  unfinished_line_.erase(0, start);
  if (last_lines_.size() > kTailLines) {
    last_lines_.erase(last_lines_.begin(), last_lines_.end() - kTailLines);
  }
}

std::string GuestTalk::tail() const {
  std::string text;
  for (const std::string& line : last_lines_) {
    text += "\n  " + line;
  }
  return text;
}

}  // namespace goldmill::factory
