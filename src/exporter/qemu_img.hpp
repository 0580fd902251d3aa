// SPDX-License-Identifier: GPL-3.0-or-later
// qemu-img as a subprocess, for formats that have no writer of ours yet.
#pragma once

#include <string>
#include <vector>

#include <goldmill/exporter/exporter.hpp>

namespace goldmill::exporter {

/// Converts the job's disk to `format` into the job's output. `options` go to -o.
/// Errors: not_found (qemu-img is not installed), no_space, cancelled, tool_failed.
Result<void> convert_by_qemu_img(const Job& job,
                                 std::string_view format,
                                 const std::vector<std::string>& options);

/// A number that is the same for the same disk, in place of one drawn at random: from the GUID of
/// its partition table. `role` tells several apart.
Result<std::string> stable_bytes(const Job& job, std::string_view role, std::size_t count);

/// Reads from the output.
Result<std::string> output_bytes(const Job& job, std::uint64_t offset, std::size_t size);

}  // namespace goldmill::exporter
