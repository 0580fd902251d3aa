// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/build/later_clock.hpp>

asm(".pushsection .rodata\n.balign 16\ngoldmill_later_clock:\n.incbin \"" GOLDMILL_LATER_CLOCK
    "\"\ngoldmill_later_clock_end:\n.popsection\n");
// NOLINTBEGIN(readability-identifier-naming): the assembler's names
extern "C" const char goldmill_later_clock[];
extern "C" const char goldmill_later_clock_end[];
// NOLINTEND(readability-identifier-naming)

namespace goldmill::build {

namespace {
#if defined(__x86_64__)
constexpr std::string_view kNative = "amd64";
#elif defined(__aarch64__)
constexpr std::string_view kNative = "arm64";
#else
constexpr std::string_view kNative = "";
#endif
}  // namespace

std::string_view later_clock(std::string_view architecture) {
  return architecture == kNative
             ? std::string_view(
                   goldmill_later_clock,
                   static_cast<std::size_t>(goldmill_later_clock_end - goldmill_later_clock))
             : std::string_view();
}

}  // namespace goldmill::build
