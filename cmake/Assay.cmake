# The words that the folders' CMakeLists.txt use. docs/build.md explains them.

# assay_library(name SOURCES ... [LINK ...] [TORCH] [COLD] [FUZZED]): one static library a folder of src/assay. All of them end up whole in libassay.so.
# TORCH: the folder sees torch's headers, and the narrow precompiled header is included before each of its files.
# COLD: its time is spent in other folders, so the optimizer's is not worth it.
# FUZZED: a fuzz target reads with it (assay_fuzz), and wants to know the branches that it takes.
function(assay_library name)
  cmake_parse_arguments(A "TORCH;COLD;FUZZED" "" "SOURCES;LINK" ${ARGN})
  add_library(assay_${name} STATIC ${A_SOURCES})
  target_include_directories(assay_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(assay_${name} PUBLIC ${A_LINK} PRIVATE assay_warnings)
  if(A_FUZZED)
    target_link_libraries(assay_${name} PRIVATE assay_fuzzed)
  endif()
  if(A_TORCH)
    target_link_libraries(assay_${name} PUBLIC torch::headers PRIVATE assay_narrow_torch)
    assay_use_pch(assay_${name})
  endif()
  if(A_COLD)
    assay_optimize_little(assay_${name})
  endif()
  set_property(GLOBAL APPEND PROPERTY ASSAY_LIBRARIES assay_${name})
endfunction()

# assay_program(SOURCES ... [LINK ...]): bin/assay, on top of libassay.so.
function(assay_program)
  cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
  add_executable(assay_program ${A_SOURCES})
  target_link_libraries(assay_program PRIVATE assay ${A_LINK} assay_warnings assay_narrow_torch)
  set_target_properties(assay_program PROPERTIES OUTPUT_NAME assay INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR};${ASSAY_TORCH}/lib")
  assay_use_pch(assay_program)
  assay_optimize_little(assay_program)
  install(TARGETS assay_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# assay_test(name SOURCES ... LINK ... [TIMEOUT seconds] [COST seconds] [ENVIRONMENT ...] [LABELS ...]): a doctest program bin/test_<name>,
# one CTest entry. COST is about how long it takes, where that is long: CTest starts those first, so that none runs alone at the end. LINK is `assay` (everything, torch too) or the static libraries of torch-free folders - never both, or symbols would exist twice.
function(assay_test name)
  cmake_parse_arguments(A "" "TIMEOUT;COST" "SOURCES;LINK;ENVIRONMENT;LABELS" ${ARGN})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  if(NOT A_COST)
    set(A_COST 0)
  endif()
  add_executable(test_${name} ${A_SOURCES} $<TARGET_OBJECTS:assay_test_main>)
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(test_${name} PRIVATE ${A_LINK} assay_warnings)
  target_compile_definitions(test_${name} PRIVATE ASSAY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  if("assay" IN_LIST A_LINK)
    target_link_libraries(test_${name} PRIVATE assay_narrow_torch)
    assay_use_pch(test_${name})
    assay_optimize_little(test_${name})
  else()
    target_compile_options(test_${name} PRIVATE -O0)
  endif()
  # Repetitions by the thousand look for wrong numbers, not for wrong memory: with sanitizers they take many minutes.
  set(without "")
  if(ASSAY_SANITIZE)
    set(without "--source-file-exclude=*test_grammar.cpp,*test_ngram.cpp,*test_overlap*,*test_generator.cpp,*test_calibrate.cpp,*test_decision.cpp,*test_estimates.cpp,*test_intervals.cpp,*test_rates.cpp,*report/test_report.cpp,*report/test_command.cpp")
  endif()
  add_test(NAME ${name} COMMAND test_${name} ${without})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT} COST ${A_COST} LABELS "unit;${A_LABELS}"
    ENVIRONMENT "ASSAY_PROGRAM=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/assay;${ASSAY_TEST_ENVIRONMENT};${A_ENVIRONMENT}")
endfunction()

# assay_fuzz(name SOURCES ... LINK ... [DICTIONARY file]): a libFuzzer program bin/fuzz_<name> and a CTest entry that runs it for ASSAY_FUZZ_SECONDS from
# the seeds in corpus/<name> beside the CMakeLists.txt. What it finds stays in <build>/fuzz/<name>.
function(assay_fuzz name)
  cmake_parse_arguments(A "" "DICTIONARY" "SOURCES;LINK" ${ARGN})
  set(found ${PROJECT_BINARY_DIR}/fuzz/${name})
  file(MAKE_DIRECTORY ${found}/corpus)
  add_executable(fuzz_${name} ${A_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE ${A_LINK} assay_warnings assay_fuzzed)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  set(dictionary "")
  if(A_DICTIONARY)
    set(dictionary -dict=${CMAKE_CURRENT_SOURCE_DIR}/${A_DICTIONARY})
  endif()
  math(EXPR timeout "${ASSAY_FUZZ_SECONDS} + 60")
  add_test(NAME fuzz_${name} COMMAND fuzz_${name} -max_total_time=${ASSAY_FUZZ_SECONDS} -timeout=10 -rss_limit_mb=2048 ${dictionary}
    -artifact_prefix=${found}/ ${found}/corpus ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
  set_tests_properties(fuzz_${name} PROPERTIES TIMEOUT ${timeout} LABELS fuzz)
endfunction()

# In release builds, for files that compile longer than they ever run: -O1 takes two thirds of -O3's time. (-O0 takes a third, but with it GCC
# refuses a header that was precompiled with optimisation.)
function(assay_optimize_little target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# Includes the precompiled narrow torch header (target assay_pch) before each file of a target. Files include what they need all the
# same: a build with ASSAY_PCH=OFF, which clang-tidy uses, must work.
function(assay_use_pch target)
  if(NOT ASSAY_PCH)
    if(target MATCHES "^test_")  # torch has a macro CHECK as well: doctest's must be the later one, as it is with the precompiled header
      target_compile_options(${target} PRIVATE "SHELL:-include assay/tensor/aten.h")
    endif()
    return()
  endif()
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")  # the header is compiled with -fPIC; GCC takes it only where the flag is the same
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
  endif()
  target_precompile_headers(${target} REUSE_FROM assay_pch)
endfunction()
