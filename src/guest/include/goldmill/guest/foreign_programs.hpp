// SPDX-License-Identifier: GPL-3.0-or-later
// Foreign programs: whether those of another architecture run on this machine.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <goldmill/base/result.hpp>

namespace goldmill::guest {

/// Debian's name of this machine's architecture; the kernel's own for one that no release has.
std::string machine_architecture();

/// A build runs the packages' own scripts, so programs of `architecture` must run here: natively,
/// or by an emulator that the kernel starts. The sandbox has no path of the machine, hence the
/// emulator must be registered with the flag F, by which the kernel holds it open. `registered`
/// is another directory in tests only. Source: Linux, Documentation/admin-guide/binfmt-misc.rst.
/// Errors: unavailable.
Result<void> check_programs_run(
    std::string_view architecture,
    const std::filesystem::path& registered = "/proc/sys/fs/binfmt_misc");

}  // namespace goldmill::guest
