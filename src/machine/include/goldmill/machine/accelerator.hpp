// SPDX-License-Identifier: GPL-3.0-or-later
// Which accelerator really works here. /dev/kvm existing proves nothing: on some nested hosts it
// opens and firmware runs, but a stock kernel hangs. So the probe starts a kernel.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <goldmill/base/result.hpp>

namespace goldmill::machine {

enum class Accelerator : std::uint8_t { tcg, kvm };
/// "tcg" or "kvm".
/// Tells one build of QEMU from another, without starting it.
std::string qemu_version();

const char* name_of(Accelerator accelerator);

struct AcceleratorChoice {
  Accelerator kind = Accelerator::tcg;
  std::string reason;  ///< to show: "emulation: /dev/kvm does not exist"
};

/// What the probe starts: a kernel (preferred), or else a disk that boots by BIOS with its kernel's
/// console on the first serial port.
struct ProbeSubject {
  std::filesystem::path kernel;
  std::filesystem::path disk;
  std::string disk_format = "qcow2";
};

/// GOLDMILL_ACCELERATOR=tcg|kvm decides when set. Else what a kernel showed when it was started
/// under KVM is kept under `home`/accelerator.json until the host boots again or QEMU changes; what
/// kept one from being started is not. Takes at most 10 seconds once, and none where /dev/kvm
/// cannot be opened. Errors: invalid_input (a wrong value).
Result<AcceleratorChoice> choose_accelerator(const std::filesystem::path& home,
                                             const ProbeSubject& subject);

}  // namespace goldmill::machine
