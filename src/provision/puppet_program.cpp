// SPDX-License-Identifier: GPL-3.0-or-later
#include "puppet_program.hpp"

#define GOLDMILL_RUBY(name)                                                                    \
  asm(".pushsection .rodata\ngoldmill_puppet_" #name ":\n.incbin \"" GOLDMILL_PUPPET "/" #name \
      ".rb\"\ngoldmill_puppet_" #name "_end:\n.popsection\n");                                 \
  extern "C" const char goldmill_puppet_##name[];                                              \
  extern "C" const char goldmill_puppet_##name##_end[];                                        \
  std::string_view goldmill::provision::puppet_##name() {                                      \
    return {goldmill_puppet_##name,                                                            \
            static_cast<std::size_t>(goldmill_puppet_##name##_end - goldmill_puppet_##name)};  \
  }

// NOLINTBEGIN(readability-identifier-naming): the assembler's names
GOLDMILL_RUBY(apply)
GOLDMILL_RUBY(guest_facts)
GOLDMILL_RUBY(systemd_service)
GOLDMILL_RUBY(live_service)
// NOLINTEND(readability-identifier-naming)
