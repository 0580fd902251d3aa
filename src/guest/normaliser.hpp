// SPDX-License-Identifier: GPL-3.0-or-later
// Normaliser: takes out of a configured tree what would differ in the next build: dates, copies
// of older states, logs. Each rule is named.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/guest/guest_tree.hpp>

namespace goldmill::guest {

/// `epoch`: seconds since 1970, the date of everything dated.
Result<void> normalise(GuestTree& tree, std::int64_t epoch);

/// shadow(5) with no last-change day after the epoch's.
std::string with_days_until(std::string_view shadow, std::int64_t epoch);

/// A Java keystore (JKS, store password "changeit") whose entries are dated `epoch` and sorted,
/// or nullopt when the bytes are none. Source: OpenJDK, sun.security.provider.JavaKeyStore.
std::optional<std::string> with_dates(std::string_view keystore, std::int64_t epoch);

}  // namespace goldmill::guest
