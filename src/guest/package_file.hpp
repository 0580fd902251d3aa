// SPDX-License-Identifier: GPL-3.0-or-later
// A package's file on disk: is it what its digest says, and giving it a second place.
#pragma once

#include <cstdint>
#include <filesystem>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/guest/resolver.hpp>

namespace goldmill::guest {

enum class FileState : std::uint8_t { missing, damaged, good };

/// By its hash, or by its size alone.
enum class Compare : std::uint8_t { size, hash };

/// A link or another thing than a plain file is damaged.
Result<FileState> state_of_file(const std::filesystem::path& file,
                                const PackageFile& package,
                                Compare compare);

/// Everything that is left to read, to a new file, durably. Errors: conflict when it exists.
Result<void> copy_to(int from, const std::filesystem::path& to);

/// `to` becomes the same file, or a copy where no link can be or guest ids could not read it.
Result<void> place_file(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace goldmill::guest
