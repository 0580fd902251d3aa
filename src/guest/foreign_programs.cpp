// SPDX-License-Identifier: GPL-3.0-or-later
#include <sys/utsname.h>

#include <goldmill/guest/foreign_programs.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::guest {

namespace {

/// As qemu-user's registrations are named.
std::string kernel_name(std::string_view architecture) {
  if (architecture == "amd64") {
    return "x86_64";
  }
  return architecture == "arm64" ? "aarch64" : std::string(architecture);
}

bool is_enabled_and_held(std::string_view entry) {
  constexpr std::string_view kFlags = "\nflags: ";
  const std::size_t flags = entry.find(kFlags);
  if (!entry.starts_with("enabled") || flags == std::string_view::npos) {
    return false;
  }
  const std::string_view rest = entry.substr(flags + kFlags.size());
  return rest.substr(0, rest.find('\n')).find('F') != std::string_view::npos;
}

}  // namespace

std::string machine_architecture() {
  utsname names{};
  ::uname(&names);
  const std::string machine = names.machine;
  if (machine == "x86_64") {
    return "amd64";
  }
  return machine == "aarch64" ? "arm64" : machine;
}

Result<void> check_programs_run(std::string_view architecture,
                                const std::filesystem::path& registered) {
  const std::string here = machine_architecture();
  if (architecture == here) {
    return {};
  }
  const auto entry = system::read_file(registered / ("qemu-" + kernel_name(architecture)), 4_KiB);
  if (entry && is_enabled_and_held(*entry)) {
    return {};
  }
  return Error{ErrorKind::unavailable,
               "this machine is " + here + " and runs no programs for " +
                   std::string(architecture) + ", which the packages' scripts are",
               "build on a machine for " + std::string(architecture) +
                   ", or install qemu-user-static and binfmt-support here"};
}

}  // namespace goldmill::guest
