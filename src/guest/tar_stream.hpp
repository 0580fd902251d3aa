// SPDX-License-Identifier: GPL-3.0-or-later
// TarStream: a compressed tar in memory, read by libarchive within limits.
#pragma once

#include <functional>
#include <string_view>

#include <goldmill/guest/deb.hpp>

namespace goldmill::guest {

struct PackedTar {
  std::string_view bytes;
  std::string_view ending;  ///< of its name, which says how it is compressed: "", ".xz", ...
};

/// Walks the archive within the limits. Errors: corrupt (cannot be read to its end),
/// invalid_input (a name or size that no package has), the visitor's.
Result<void> visit_tar(
    const PackedTar& tar,
    const DebLimits& limits,
    const std::function<Result<void>(const TarEntry&, const DataSource&)>& visitor);

}  // namespace goldmill::guest
