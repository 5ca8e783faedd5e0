# SPDX-License-Identifier: LGPL-2.1-or-later
# Compiler flags of every box. bitsq_box() is how a box is declared: one static library, private includes.
add_library(bitsq_flags INTERFACE)
target_compile_options(bitsq_flags INTERFACE
  -Wall -Wextra -Wformat=2 -Wswitch-enum -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla -Wshadow
  -fno-common -fstack-protector-strong)
target_compile_definitions(bitsq_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64 BITSQ_VERSION="${PROJECT_VERSION}")
if(BITSQ_WERROR)
  target_compile_options(bitsq_flags INTERFACE -Werror)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT BITSQ_SANITIZE)
  target_compile_definitions(bitsq_flags INTERFACE _FORTIFY_SOURCE=2)
  target_link_options(bitsq_flags INTERFACE -Wl,-z,relro,-z,now)
endif()
if(BITSQ_SANITIZE)
  target_compile_options(bitsq_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(bitsq_flags INTERFACE -fsanitize=address,undefined)
endif()
if(BITSQ_FUZZ)
  target_compile_options(bitsq_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# bitsq_box(NAME SOURCES a.c b.c LINKS base core PkgConfig::X): a box includes headers as "BOX/header.h", and only
# those of the boxes that it links: each box has an include folder of its own in the build tree, with one link in it.
function(bitsq_box name)
  cmake_parse_arguments(BOX "" "" "SOURCES;LINKS" ${ARGN})
  set(door ${CMAKE_BINARY_DIR}/include/${name})
  file(MAKE_DIRECTORY ${door})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${door}/${name} SYMBOLIC)
  add_library(${name} STATIC ${BOX_SOURCES})
  target_include_directories(${name} PUBLIC ${door})
  target_link_libraries(${name} PUBLIC ${BOX_LINKS} PRIVATE bitsq_flags)
endfunction()
