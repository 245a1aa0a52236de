# ccache, a fast linker, warnings, sanitizers: all that changes how a file is compiled and nothing that changes what.

find_program(CCACHE ccache)
if(CCACHE)
  # Without these two, ccache does not cache files that are compiled with a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
  if(ASSAY_PCH AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  endif()
else()
  set(CCACHE "")
endif()

find_program(MOLD mold)
find_program(LLD ld.lld)
mark_as_advanced(CCACHE MOLD LLD)
if(MOLD AND (NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU" OR CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12.1))
  add_link_options(-fuse-ld=mold)
elseif(LLD)
  add_link_options(-fuse-ld=lld)
endif()

add_library(assay_warnings INTERFACE)
target_compile_options(assay_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)  # GCC 12 sees overlaps in std::string that are not there

# Our own files see torch through narrow headers only: one that includes torch/torch.h takes 50 s to compile, these about 4 s.
add_library(assay_narrow_torch INTERFACE)
target_compile_definitions(assay_narrow_torch INTERFACE TORCH_ASSERT_ONLY_METHOD_OPERATORS)

set(ASSAY_TEST_ENVIRONMENT "")
if(ASSAY_SANITIZE)
  add_compile_options(-fsanitize=${ASSAY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ASSAY_SANITIZE})
  add_compile_definitions(_GLIBCXX_ASSERTIONS ASSAY_SANITIZED)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    add_compile_options(-fsanitize-ignorelist=${PROJECT_SOURCE_DIR}/cmake/ubsan_ignore.txt)
  endif()
  set(ASSAY_TEST_ENVIRONMENT "UBSAN_OPTIONS=print_stacktrace=1;TSAN_OPTIONS=halt_on_error=1 second_deadlock_stack=1")
endif()
if(ASSAY_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "ASSAY_FUZZ needs clang++ (libFuzzer); the compiler is ${CMAKE_CXX_COMPILER}")
  endif()
endif()

# What fuzz targets call counts the branches it takes. Elsewhere that would be a quarter of the compile time for nothing.
add_library(assay_fuzzed INTERFACE)
if(ASSAY_FUZZ)
  target_compile_options(assay_fuzzed INTERFACE -fsanitize=fuzzer-no-link)
endif()
