// SPDX-License-Identifier: GPL-3.0-or-later
// One boot of the image under test, from its own overlay disk to rows.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/machine/machine.hpp>
#include <goldmill/machine/ssh.hpp>
#include <goldmill/prove/prove.hpp>

namespace goldmill::prove {

struct Boot {
  std::string name;  ///< "bios", "uefi", "bios nvme"
  machine::Firmware firmware = machine::Firmware::bios;
  machine::Controller controller = machine::Controller::virtio;
};

struct BootOutcome {
  std::vector<Row> rows;
  std::string machine_id;
  std::string ssh_host_key;
  std::optional<BootFailure> failure;
  std::string warning;
};

struct BootSurroundings {
  const ProveRequest& request;
  machine::Accelerator accelerator;
  machine::KeyPair key;
  std::filesystem::path scratch;
  std::function<void(const std::string& boot, const std::string& news)> news;
};

/// Errors: what this machine lacks; a guest that does not boot is an outcome.
Result<BootOutcome> boot_and_check(const BootSurroundings& around, const Boot& boot);

}  // namespace goldmill::prove
