# SPDX-License-Identifier: GPL-3.0-or-later
# One static library per module, each with an include root of its own. A module may link only
# what stands above it in src/CMakeLists.txt: the order there is the architecture.

# add_module(NAME SOURCES file... [PUBLIC target...] [PRIVATE target...])
function(add_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  foreach(dependency IN LISTS ARG_PUBLIC ARG_PRIVATE)
    if(NOT TARGET ${dependency})
      message(FATAL_ERROR "module '${name}' may not use '${dependency}': "
                          "it is not above it in src/CMakeLists.txt")
    endif()
  endforeach()
  file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/include/goldmill/${name}/*.hpp)
  add_library(goldmill_${name} STATIC ${ARG_SOURCES})
  add_library(goldmill::${name} ALIAS goldmill_${name})
  target_sources(goldmill_${name} PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${headers})
  target_link_libraries(goldmill_${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE} goldmill::flags)
  precompile(goldmill_${name} goldmill_base)
endfunction()

# The unit tests and nothing else: what a build with sanitizers is for. And what the tests with real
# builds and boots need.
add_custom_target(unit_tests)
add_custom_target(real_tests)

# add_test_program(NAME OF_TARGET SOURCES file... LINK target...): a program of GoogleTest cases that
# OF_TARGET, one of the two, builds; the caller says how ctest runs it.
function(add_test_program name target)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_dependencies(${target} ${name})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} goldmill::flags GTest::gtest GTest::gmock)
  precompile(${name} base_test <gtest/gtest.h> <gmock/gmock.h>)
  target_compile_options(${name} PRIVATE -O0)  # optimising them takes longer than running them
endfunction()

# add_module_test(NAME SOURCES file... [LINK target...] [GUEST_ROOT]): unit tests of one module, which
# need no root, network or QEMU. They link only their module, so that a missing link shows at once.
# GUEST_ROOT: they give files to root, which a plain user may in a user namespace.
function(add_module_test name)
  cmake_parse_arguments(ARG "GUEST_ROOT" "" "SOURCES;LINK" ${ARGN})
  if(NOT BUILD_TESTING)
    return()
  endif()
  if(ARG_GUEST_ROOT)
    list(APPEND ARG_SOURCES ${PROJECT_SOURCE_DIR}/tests/guest_root_main.cpp)
  else()
    list(APPEND ARG_LINK GTest::gtest_main)
  endif()
  add_test_program(${name}_test unit_tests SOURCES ${ARG_SOURCES} LINK goldmill::${name} ${ARG_LINK})
  add_unit_test(${name}_test)
endfunction()

# add_unit_test(PROGRAM): all its cases in one process. With sanitizers a start takes longer than most
# of them.
function(add_unit_test program)
  add_test(NAME ${program} COMMAND ${program})
  set_tests_properties(${program} PROPERTIES LABELS unit TIMEOUT 600)
endfunction()

# registry_sources(OUT FILE.def MACRO): the source files that a .def list names, one per line.
function(registry_sources out list macro)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${list})
  file(STRINGS ${list} lines REGEX "^${macro}\\(")
  set(sources)
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^${macro}\\(([a-z0-9_]+).*" "\\1" entry "${line}")
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${entry}.cpp)
      message(FATAL_ERROR "${list} names '${entry}', but there is no ${entry}.cpp beside it")
    endif()
    list(APPEND sources ${entry}.cpp)
  endforeach()
  set(${out} ${sources} PARENT_SCOPE)
endfunction()
