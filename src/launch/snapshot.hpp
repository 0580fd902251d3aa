// SPDX-License-Identifier: GPL-3.0-or-later
// Snapshot: a booted, quiet machine of an image as files, from which warm instances go on. It lies
// in snapshots/IMAGE/KEY; the key says all that must be equal for QEMU to go on from it.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/machine/machine.hpp>
#include <goldmill/system/file.hpp>

#include "record.hpp"

namespace goldmill::launch {

struct SnapshotRequest {
  std::string image;         ///< reference, to show
  std::string image_digest;  ///< hexadecimal
  std::filesystem::path disk;
  std::string disk_format;
  Bytes disk_size;
  Bytes memory;
  int cpus = 1;
  KernelBoot kernel_boot = {};
  machine::Accelerator accelerator = machine::Accelerator::tcg;
  std::chrono::seconds ready_limit{600};
  std::function<void(const std::string&)> tell = {};
};

/// One that is checked and ready to be used by any number of machines at once.
struct Snapshot {
  std::filesystem::path directory;
  system::UniqueFd memory;  ///< sealed
  bool made = false;        ///< just now, since none was there or it did not fit
  Bytes bytes;              ///< on the disk
  Json facts;               ///< facts_of() it, and the digests of its files
};

/// What a snapshot says of itself: all that must be equal for QEMU to go on from it, and what that
/// follows from.
Json facts_of(const SnapshotRequest& request);

/// By what a machine, as this goldmill and its QEMU start it now, could go on from it; nothing when
/// none could.
std::optional<machine::Accelerator> still_fits(const Json& facts);

/// One that was made, after a look at every byte. Errors: not_found (no snapshot), corrupt.
Result<Snapshot> open_snapshot(const std::filesystem::path& directory);

/// Errors: conflict, of one that this machine cannot go on from by this accelerator.
Result<void> check_fit(const Snapshot& snapshot, machine::Accelerator accelerator);

/// Finds the snapshot that fits, or makes it; of several at once one makes it. A damaged one is
/// made again. Errors: those of a boot, with its likely cause; unavailable (the image's agent).
Result<Snapshot> take_snapshot(const std::filesystem::path& home, const SnapshotRequest& request);

/// The same in all machines that share a snapshot, and in the one that it was taken from.
machine::MachineSpec warm_machine(const std::string& name, Bytes memory, int cpus);

/// The snapshot's file that a warm instance's disk stands on; below it is the image's.
std::filesystem::path snapshot_disk(const std::filesystem::path& directory);
std::filesystem::path snapshot_state(const std::filesystem::path& directory);

}  // namespace goldmill::launch
