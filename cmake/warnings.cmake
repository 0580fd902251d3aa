# SPDX-License-Identifier: GPL-3.0-or-later
# Compiler settings that every target of ours shares; each flag with its reason.
add_library(goldmill_flags INTERFACE)
add_library(goldmill::flags ALIAS goldmill_flags)
target_compile_options(goldmill_flags INTERFACE
  -Wall -Wextra -Wpedantic  # the common ground of both compilers
  -Wconversion              # sizes and offsets of 64 bits must not shrink silently
  -Wshadow                  # TRY nests: a shadowed name would hide an error
  # Clang 14 takes what a defaulted <=> compares with for a pointer.
  $<$<CXX_COMPILER_ID:GNU>:-Wzero-as-null-pointer-constant>
  $<$<CXX_COMPILER_ID:Clang>:-Wreserved-identifier>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>  # g++ 12 warns wrongly on std::string::operator+ (GCC bug 105651)
  # libapt's iterators compare as they did before C++20; libseccomp's macros are C99; that an index
  # has a sign is no error for g++.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-ambiguous-reversed-operator -Wno-c99-extensions
      -Wno-missing-field-initializers -Wno-sign-conversion>
  -Werror)                  # a warning that may stay will stay
target_compile_definitions(goldmill_flags INTERFACE
  _FILE_OFFSET_BITS=64      # disks are larger than 2 GiB on every architecture
  _GNU_SOURCE)              # clone, openat2, memfd_create

option(GOLDMILL_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
if(GOLDMILL_SANITIZE)
  target_compile_options(goldmill_flags INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g1
    # g++ 12 warns wrongly inside std::variant under sanitizers.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(goldmill_flags INTERFACE -fsanitize=address,undefined
    $<$<CXX_COMPILER_ID:Clang>:-fuse-ld=lld>)  # in a quarter of the time
  target_compile_definitions(goldmill_flags INTERFACE GOLDMILL_SANITIZED)  # memory is not measured
endif()

# Every module is instrumented, so that libFuzzer sees which branches an input reaches.
if(GOLDMILL_FUZZ)
  target_compile_options(goldmill_flags INTERFACE
    -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -g1)
  target_link_options(goldmill_flags INTERFACE -fsanitize=address,undefined)
endif()
