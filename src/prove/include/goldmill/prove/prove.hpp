// SPDX-License-Identifier: GPL-3.0-or-later
// Prove: boots an image and checks everything that its recipe promises, from outside and inside.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/machine/machine.hpp>
#include <goldmill/recipe/recipe.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::prove {

/// One promise and what was found. Text from the guest is bounded and safe to show.
struct Row {
  std::string promise;
  std::string expected;
  std::string found;
  bool passed = false;
};

struct ProveRequest {
  std::filesystem::path home;
  /// A directory of the caller's own, which nobody clears away while this runs; short, since
  /// sockets lie in it.
  std::filesystem::path work;
  std::string image;                  ///< reference to show: "java@3"
  std::filesystem::path disk;         ///< never written
  std::string disk_format = "qcow2";  ///< or "raw"
  std::filesystem::path kernel;       ///< for the accelerator's probe; "": the disk itself
  recipe::Recipe recipe;              ///< merged with its bases
  std::vector<machine::Firmware> firmwares = {machine::Firmware::bios, machine::Firmware::uefi};
  std::vector<machine::Controller> controllers = {machine::Controller::virtio};
  Bytes memory = 512_MiB;
  int cpus = 1;
  /// Measured by the caller, for the recipe's budgets.
  std::optional<Bytes> disk_used;
  std::optional<Bytes> image_size;
  /// The caller's own checks (the seal), put before the others.
  std::vector<Row> rows;
  /// Directory that gets BOOT.serial.log and BOOT.ppm of each boot; "": not kept.
  std::filesystem::path evidence;
};

/// What a boot that failed left behind.
struct BootFailure {
  std::string boot;  ///< "bios", "uefi", "bios nvme"
  std::string error;
  Json dossier;  ///< machine::Dossier
};

struct Report {
  std::string image;
  bool passed = false;
  std::string accelerator;         ///< "kvm" or "tcg"
  std::string accelerator_reason;  ///< to show
  std::vector<Row> promises;
  std::vector<BootFailure> failures;
  std::vector<std::string> warnings;
};

/// {"image","passed","accelerator","promises":[{"promise","expected","found","passed"}],
/// "failures":[{"boot","error","dossier"}]}
Json to_json(const Report& report);

/// A line to show: which boot, and what it has reached. Called from several threads, one at a
/// time.
using Progress = std::function<void(const std::string& boot, const std::string& news)>;

/// Boots once for each firmware (with the first controller) and once for each further controller
/// (by the first firmware), two at a time, and checks all on these boots. A promise that does not
/// hold is a row, not an Error. Errors: unavailable (no QEMU, dnsmasq, ssh, tap device or user
/// namespace), invalid_input (no such disk).
Result<Report> prove(const ProveRequest& request, const Progress& progress = {});

/// To be registered in main() with the other workers: owns the private network of one boot.
system::WorkerEntry network_worker();

}  // namespace goldmill::prove
