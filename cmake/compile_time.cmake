# SPDX-License-Identifier: GPL-3.0-or-later
# What keeps compiling short.

# Most of a file's compile time goes into headers and templates, so all files of a target are compiled
# at once: names without linkage must differ within a folder, which scripts/lint asks for as well.
# For editing, -DCMAKE_UNITY_BUILD=OFF compiles file by file: all of it takes longer, one changed file
# does not take its whole module along.
if(NOT DEFINED CMAKE_UNITY_BUILD)
  set(CMAKE_UNITY_BUILD ON)
endif()
if(NOT DEFINED CMAKE_UNITY_BUILD_BATCH_SIZE)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 0)
endif()

# What was compiled before at this place comes from ccache where there is one.
find_program(ccache ccache)
if(ccache AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${ccache})
endif()
