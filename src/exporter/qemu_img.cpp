// SPDX-License-Identifier: GPL-3.0-or-later
#include "qemu_img.hpp"

#include <cerrno>
#include <chrono>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <goldmill/base/digest.hpp>
#include <goldmill/system/process.hpp>

#include "formats.hpp"
#include "raw_disk.hpp"

namespace goldmill::exporter {

using system::UniqueFd;

namespace {
constexpr int kDisk = 60;  // descriptor numbers in qemu-img's process
constexpr int kOutput = 61;

std::string path_of(int number) {
  return "/proc/self/fd/" + std::to_string(number);
}

std::string joined(const std::vector<std::string>& options) {
  std::string text;
  for (const std::string& option : options) {
    text += (text.empty() ? "" : ",") + option;
  }
  return text;
}

/// Waits, asking now and then whether to go on.
Result<int> wait_for(system::Child& child, const Progress& progress) {
  while (true) {
    if (const auto status = child.wait(std::chrono::milliseconds(100))) {
      return *status;
    }
    TRY(check_cancelled(progress));  // the child is killed with its owner
  }
}

Error failure_of(int said) {
  ::lseek(said, 0, SEEK_SET);
  auto text = system::read_all(said, 1_MiB);
  std::string message = text ? *text : "no output";
  while (!message.empty() && message.back() == '\n') {
    message.pop_back();
  }
  const bool full = message.find("No space left on device") != std::string::npos;
  return Error{full ? ErrorKind::no_space : ErrorKind::tool_failed,
               "qemu-img: " + message,
               full ? "free some space or choose another place for the output" : ""};
}
}  // namespace

Result<void> convert_by_qemu_img(const Job& job,
                                 std::string_view format,
                                 const std::vector<std::string>& options) {
  const RawDisk disk = TRY(RawDisk::open(job.source.disk));
  const UniqueFd said(::memfd_create("qemu-img", MFD_CLOEXEC));
  if (!said) {
    return system_error("cannot make a memory file", errno);
  }
  system::Command command;
  // The format of the input is always said: a guest's first bytes could claim another one.
  command.argv = {"qemu-img", "convert", "-f", "raw", "-O", std::string(format)};
  if (!options.empty()) {
    command.argv.insert(command.argv.end(), {"-o", joined(options)});
  }
  command.argv.insert(command.argv.end(), {path_of(kDisk), path_of(kOutput)});
  command.descriptors = {{disk.descriptor(), kDisk}, {job.output, kOutput}};
  auto started = system::Child::start(command, said.get());
  if (!started) {
    Error error = std::move(started).error();
    if (error.kind == ErrorKind::not_found) {
      error.hint = "install the package qemu-utils";
    }
    return error;
  }
  const int status = TRY(wait_for(*started, job.progress));
  if (status != 0) {
    return failure_of(said.get());
  }
  return {};
}

Result<std::string> stable_bytes(const Job& job, std::string_view role, std::size_t count) {
  const RawDisk disk = TRY(RawDisk::open(job.source.disk));
  std::string header(512, '\0');  // the primary GPT header, which holds the disk's GUID
  TRY(disk.read(512, header.data(), header.size()));
  const Digest digest = sha256(std::string(role) + header);
  const auto& bytes = digest.bytes();
  GOLDMILL_ASSERT(count <= bytes.size());
  return std::string(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
}

Result<std::string> output_bytes(const Job& job, std::uint64_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t count =
        ::pread(job.output, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return Error{ErrorKind::tool_failed, "qemu-img wrote less than its format needs"};
    }
    done += static_cast<std::size_t>(count);
  }
  return bytes;
}

}  // namespace goldmill::exporter
