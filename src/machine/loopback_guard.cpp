// SPDX-License-Identifier: GPL-3.0-or-later
#include "loopback_guard.hpp"

asm(".pushsection .rodata\n.balign 16\ngoldmill_loopback_guard:\n.incbin \"" GOLDMILL_LOOPBACK_GUARD
    "\"\ngoldmill_loopback_guard_end:\n.popsection\n");
// NOLINTBEGIN(readability-identifier-naming): the assembler's names
extern "C" const char goldmill_loopback_guard[];
extern "C" const char goldmill_loopback_guard_end[];
// NOLINTEND(readability-identifier-naming)

namespace goldmill::machine {

std::string_view loopback_guard() {
  return {goldmill_loopback_guard,
          static_cast<std::size_t>(goldmill_loopback_guard_end - goldmill_loopback_guard)};
}

}  // namespace goldmill::machine
