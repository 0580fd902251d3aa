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

# What was compiled before at this place comes from ccache where there is one. It looks at precompiled
# headers only when it is told that what a macro or the time would change does not matter.
find_program(ccache ccache)
if(ccache AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${ccache})
endif()

# precompile(TARGET FIRST [HEADER...]): nearly every file includes these headers, which take as long as
# the rest of a module. They are read once, for FIRST, and taken from there by each TARGET that has the
# same flags. What a file includes it still names: -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON shows.
function(precompile target first)
  if(target STREQUAL first)
    target_precompile_headers(${target} PRIVATE
      <algorithm> <chrono> <filesystem> <fstream> <functional> <future> <map> <memory> <optional>
      <sstream> <string> <variant> <vector> <nlohmann/json.hpp> ${ARGN})
  else()
    target_precompile_headers(${target} REUSE_FROM ${first})
  endif()
endfunction()

# seldom_run(TARGET): what reads texts and starts others spends its time elsewhere. Optimising it
# less takes two thirds of the time.
function(seldom_run target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()
