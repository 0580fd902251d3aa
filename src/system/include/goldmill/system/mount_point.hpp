// SPDX-License-Identifier: GPL-3.0-or-later
// Mount points: where another file system begins, or another part of the same. Whoever removes a
// tree stops there: what is mounted is not the tree's.
#pragma once

#include <string>

#include <goldmill/base/result.hpp>

namespace goldmill::system {

/// Looks at an open directory, which the error calls `name`; kernels before 5.8 do not tell.
/// Errors: conflict, when something is mounted there.
Result<void> check_nothing_mounted(int directory, const std::string& name);

}  // namespace goldmill::system
