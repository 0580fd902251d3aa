# SPDX-License-Identifier: GPL-3.0-or-later
# add_preload(NAME OPTION...): compiles the module's preload/NAME.cpp to a small shared object,
# which another program loads first, and lets NAME.cpp of the module embed it: the macro
# GOLDMILL_NAME names the file.
function(add_preload name)
  string(TOUPPER GOLDMILL_${name} macro)
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/preload/${name}.cpp)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.so)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 -O2 -Wall -Wextra -Werror -fPIC -fno-exceptions -fno-rtti
            -fno-asynchronous-unwind-tables -fno-stack-protector ${ARGN}
            -shared -nostdlib -s -Wl,--build-id=none ${source} -o ${object}
    DEPENDS ${source} COMMENT "Building preload/${name}.so" VERBATIM)
  set_source_files_properties(${name}.cpp PROPERTIES OBJECT_DEPENDS ${object}
    COMPILE_DEFINITIONS "${macro}=\"${object}\"" SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
