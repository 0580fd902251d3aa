// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <functional>

namespace goldmill::system {

/// Calls `work` with each index below `count`, in their order, at most `most` at a time, fewer
/// where no more threads can be had; ends when all are done. What fails is the work's own matter.
void side_by_side(std::size_t count,
                  std::size_t most,
                  const std::function<void(std::size_t index)>& work);

}  // namespace goldmill::system
