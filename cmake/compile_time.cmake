# SPDX-License-Identifier: GPL-3.0-or-later
# What keeps compiling short.

# Most of a file's compile time goes into headers, so a target's files are compiled in batches:
# names without linkage must differ within a folder, which scripts/lint asks for as well.
# -DCMAKE_UNITY_BUILD=OFF compiles file by file.
if(NOT DEFINED CMAKE_UNITY_BUILD)
  set(CMAKE_UNITY_BUILD ON)
endif()
set(CMAKE_UNITY_BUILD_BATCH_SIZE 6)

# What was compiled before at this place comes from ccache where there is one.
find_program(ccache ccache)
if(ccache AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${ccache})
endif()
