// SPDX-License-Identifier: GPL-3.0-or-later
// Budget: how many machines may boot at once, and how many this machine's memory can hold.
#pragma once

#include <goldmill/base/bytes.hpp>

namespace goldmill::launch {

struct Budget {
  int parallel = 1;   ///< boots at once
  int instances = 0;  ///< how many more fit into memory
  Bytes available;    ///< memory that this machine can still give
  Bytes each;         ///< what one instance is expected to take
};

/// One instance takes its memory, but hardly more than 160 MiB of it while it boots, and 64 MiB
/// for QEMU; a tenth of what is available stays free. Each boot gets half a core.
Budget budget_for(Bytes memory, int parallel_wished, Bytes available, int cores);

}  // namespace goldmill::launch
