// SPDX-License-Identifier: GPL-3.0-or-later
// The chain of a disk: its file, and those that it stands on.
#pragma once

#include <filesystem>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::qcow2 {

/// The most files that one disk may stand on.
inline constexpr std::size_t kDeepest = 8;

struct ChainLink {
  std::filesystem::path path;
  system::UniqueFd file;  ///< open for reading
};

/// Opens a qcow2 file and what it stands on, itself first. Only files beside it, by plain names,
/// are followed: a header may have come from anywhere. Errors: not_found, naming both files;
/// invalid_input (no qcow2, another directory, too deep).
Result<std::vector<ChainLink>> open_chain(const std::filesystem::path& disk);

/// The paths of a disk and what it stands on, as far as they can be told: the last may be a file
/// that is gone or damaged.
std::vector<std::filesystem::path> chain_of(const std::filesystem::path& disk);

}  // namespace goldmill::qcow2
