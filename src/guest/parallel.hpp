// SPDX-License-Identifier: GPL-3.0-or-later
// for_each_parallel: the same work for each index on a few threads, with one result for all.
#pragma once

#include <functional>
#include <vector>

#include <goldmill/base/result.hpp>

namespace goldmill::guest {

/// Takes the indices of `order` from the front, `threads` at a time. When some fail, the error
/// is that of the smallest index among them, and indices not begun are left.
Result<void> for_each_parallel(const std::vector<std::size_t>& order,
                               unsigned threads,
                               const std::function<Result<void>(std::size_t)>& work);

/// The processors that this process may use, at least 1.
unsigned usable_processors();

}  // namespace goldmill::guest
