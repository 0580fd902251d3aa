// SPDX-License-Identifier: GPL-3.0-or-later
// Step "debian.bootloader": the guest suite's own GRUB and signed start-up chain as assets for
// the disk writer. The tree must hold the tools of bootloader_packages() at their usual paths.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/plan/step_kind.hpp>

namespace goldmill::guest {

/// What to unpack (not to configure) into the step's tree; never part of the image.
std::vector<std::string> bootloader_packages(std::string_view architecture);

/// Options of the step: {"architecture": "amd64", "family": "debian"}.
plan::Step bootloader_step(std::string_view family, std::string_view architecture);

/// Makes boot.img, core.img, shim.efi, grub.efi, mokmanager.efi and grub-unsigned.efi (what of
/// them the suite has) in /run/goldmill/output.
std::unique_ptr<plan::StepKind> make_bootloader_kind();

}  // namespace goldmill::guest
