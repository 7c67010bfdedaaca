# Compiler, linker, warnings, sanitizers, ccache and the two precompiled headers.

set(LLMD_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Wold-style-cast
    -Woverloaded-virtual -Wimplicit-fallthrough -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False positives of GCC 12 inside the standard library and in coroutine frames (GCC bugs 105651, 105329, 104336).
  list(APPEND LLMD_WARNINGS -Wno-restrict -Wno-maybe-uninitialized -Wno-mismatched-new-delete -Wno-missing-field-initializers)
else()
  list(APPEND LLMD_WARNINGS -Wno-missing-field-initializers -Wno-missing-designated-field-initializers)
endif()

find_program(LLMD_CCACHE ccache)
if(LLMD_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Precompiled headers need these sloppiness switches; base_dir and the checksums below let clones share objects.
  set(launcher env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_PCH_EXTSUM=1 ${LLMD_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  else()
    add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
  endif()
endif()

find_program(LLMD_MOLD mold)
if(LLMD_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

if(LLMD_SANITIZE)
  add_compile_options(-fsanitize=${LLMD_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${LLMD_SANITIZE})
endif()
if(LLMD_BUILD_FUZZERS)
  # Coverage for every library; the fuzz targets alone link libFuzzer's main.
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()

# llmd_pch_core: standard headers. llmd_pch_host: those and Asio, which is heavy. One of each, reused by all targets of a layer.
foreach(layer core host)
  add_library(llmd_pch_${layer} STATIC ${PROJECT_SOURCE_DIR}/cmake/pch/${layer}.cpp)
  target_compile_features(llmd_pch_${layer} PUBLIC cxx_std_23)
  target_compile_options(llmd_pch_${layer} PRIVATE ${LLMD_WARNINGS})
  # By a name that is the same in every clone: ccache hashes the header that CMake writes, and all objects depend on it.
  target_include_directories(llmd_pch_${layer} PRIVATE ${PROJECT_SOURCE_DIR}/cmake)
  target_precompile_headers(llmd_pch_${layer} PRIVATE <pch/${layer}.h>)
  set(LLMD_PCH_${layer} CMakeFiles/llmd_pch_${layer}.dir/cmake_pch.hxx.pch)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # Clang's precompiled header holds the clone's path: ccache hashes what the header says instead.
    add_custom_command(TARGET llmd_pch_${layer} POST_BUILD BYPRODUCTS ${LLMD_PCH_${layer}}.sum VERBATIM COMMAND sh -c
        "\"$1\" -std=c++23 -Wno-pragma-once-outside-header -E -P -dD -x c++ \"$2\" > \"$3.text\" && sha256sum < \"$3.text\" > \"$3\"" sh
        ${CMAKE_CXX_COMPILER} ${PROJECT_SOURCE_DIR}/cmake/pch/${layer}.h ${LLMD_PCH_${layer}}.sum)
  endif()
endforeach()

# Gives a target the precompiled header of its layer.
function(llmd_use_pch target layer)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # By a path below the build folder, where CMake's own way writes the clone's.
    target_compile_options(${target} PRIVATE "SHELL:-include-pch ${LLMD_PCH_${layer}}")
    get_target_property(sources ${target} SOURCES)
    set_property(SOURCE ${sources} APPEND PROPERTY OBJECT_DEPENDS ${CMAKE_BINARY_DIR}/${LLMD_PCH_${layer}}.sum)
  else()
    target_precompile_headers(${target} REUSE_FROM llmd_pch_${layer})
  endif()
endfunction()
