// SPDX-License-Identifier: GPL-3.0-or-later
#include "ansible_program.hpp"

#define GOLDMILL_PYTHON(name)                                                                    \
  asm(".pushsection .rodata\ngoldmill_ansible_" #name ":\n.incbin \"" GOLDMILL_ANSIBLE "/" #name \
      ".py\"\ngoldmill_ansible_" #name "_end:\n.popsection\n");                                  \
  extern "C" const char goldmill_ansible_##name[];                                               \
  extern "C" const char goldmill_ansible_##name##_end[];                                         \
  std::string_view goldmill::provision::ansible_##name() {                                       \
    return {goldmill_ansible_##name,                                                             \
            static_cast<std::size_t>(goldmill_ansible_##name##_end - goldmill_ansible_##name)};  \
  }

// NOLINTBEGIN(readability-identifier-naming): the assembler's names
GOLDMILL_PYTHON(apply)
GOLDMILL_PYTHON(become)
GOLDMILL_PYTHON(callback)
GOLDMILL_PYTHON(service)
// NOLINTEND(readability-identifier-naming)
