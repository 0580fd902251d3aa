// SPDX-License-Identifier: GPL-3.0-or-later
// Budget: how many machines may boot at once, and how many this machine's memory can hold.
#pragma once

#include <string>

#include <goldmill/base/bytes.hpp>
#include <goldmill/launch/launch.hpp>

namespace goldmill::launch {

struct Budget {
  int parallel = 1;       ///< boots at once
  int instances = 0;      ///< how many more fit into memory
  Bytes available;        ///< memory that this machine can still give, or the request allows
  bool is_given = false;  ///< by the request
  Bytes each;             ///< what one instance is expected to take
};

/// What one instance is expected to take of this machine's memory.
Bytes memory_of_one(Bytes guest, bool warm);
Error no_room(Bytes available, Bytes each);

/// One instance takes its memory, but hardly more than 160 MiB of it while it boots, and 64 MiB
/// for QEMU; a tenth of what is available stays free, unless the request says how much they may
/// take. Each processor of an instance that starts gets half a core.
/// A warm instance shares what it does not write, and takes 40 MiB.
Budget budget_for(const LaunchRequest& request, Bytes available, int cores);
std::string to_text(const Budget& budget);

}  // namespace goldmill::launch
