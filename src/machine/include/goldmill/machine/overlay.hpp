// SPDX-License-Identifier: GPL-3.0-or-later
// Copy-on-write disks: an empty qcow2 that refers to a finished image.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::machine {

struct OverlaySpec {
  std::string backing;  ///< name as it stands in the header, absolute
  std::string backing_format = "qcow2";
  Bytes size;  ///< what the guest sees, a multiple of 512; at least the backing's
};

/// Errors: invalid_input, for more than an overlay can show or no whole sectors.
Result<void> check_overlay_size(Bytes size);

/// Writes a new overlay file of at most 200 KiB (it takes 12 KiB on disk for 4 GiB).
/// Errors: conflict (exists), invalid_input (name longer than 1023 bytes, size too large).
/// Source: QEMU's docs/interop/qcow2.txt, version 3.
Result<void> write_overlay(const std::filesystem::path& path, const OverlaySpec& spec);

/// A finished image's disk, open for reading, with what it stands on.
class ImageDisk {
 public:
  /// Errors: not_found, naming what is gone; invalid_input.
  static Result<ImageDisk> open(const std::filesystem::path& disk, const std::string& format);
  /// For DiskSpec::backing: itself first. They stay open as long as this object.
  std::vector<int> files() const;

 private:
  std::vector<system::UniqueFd> files_;
};

/// What the guest sees of a qcow2 or raw file. Errors: invalid_input.
Result<Bytes> virtual_size(const std::filesystem::path& disk, const std::string& format);

}  // namespace goldmill::machine
