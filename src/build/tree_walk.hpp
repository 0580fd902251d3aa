// SPDX-License-Identifier: GPL-3.0-or-later
// Small steps of walking a hostile tree by descriptors.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <sys/stat.h>

#include <goldmill/system/file.hpp>

namespace goldmill::build {

/// Sorted by bytes, without "." and "..".
Result<std::vector<std::string>> names_in(int directory);

/// A directory, never through a link.
Result<system::UniqueFd> open_subdirectory(int parent, const std::string& name);

/// Errors: invalid_input when nested deeper than any layer may be.
Result<void> check_depth(const std::string& path, std::size_t depth);

inline bool is_whiteout(const struct stat& status) {
  return S_ISCHR(status.st_mode) && status.st_rdev == 0;
}

/// The entry itself, also when it is a link, for calls that take only paths.
std::string path_by_descriptor(int directory, const std::string& name);

/// Whether a layer's directory hides the one below it.
bool is_opaque(int parent, const std::string& name);

/// Whether the file's other names are all in other layers.
bool is_shared(int parent, const std::string& name);

/// Where a symbolic link leads, as it is written; "" when it cannot be read.
std::string target_of(int parent, const std::string& name);

struct PlacedFile {
  int parent = -1;
  std::string name;
};
/// Whether two regular files hold the same bytes.
Result<bool> same_content(const PlacedFile& one, const PlacedFile& other);

/// Whether the start of a regular file holds the text; an empty text is in no file.
bool holds_text(int parent, const std::string& name, std::string_view text);

}  // namespace goldmill::build
