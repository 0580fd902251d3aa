// SPDX-License-Identifier: GPL-3.0-or-later
// Other surroundings for a build: what of the machine must not reach an image, changed where this
// process may change it.
#pragma once

#include <filesystem>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/factory/check_reproducible.hpp>

namespace goldmill::factory {

/// Puts this process and all that it starts into other surroundings, and `home`, an empty
/// directory, on a file system of another kind where that can be had: as root, when the memory is
/// there for `space`. Says what was so before and what is so now. What cannot be changed stays.
Result<std::vector<Condition>> change_surroundings(const std::filesystem::path& home, Bytes space);

/// "2026-11-26 09:00:00 UTC".
std::string time_text(std::int64_t seconds);

}  // namespace goldmill::factory
