# assay_simd_sources(target files...): compiles each file once for each instruction set, with ASSAY_CAPABILITY naming the namespace that its
# table goes to (tensor/simd.h). Such a file holds row kernels alone: an inline function of the standard library that it instantiates could be
# the one that the linker keeps for everybody.
function(assay_simd_sources target)
  set(capabilities scalar)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
    list(APPEND capabilities avx2 avx512)
    target_compile_definitions(${target} PUBLIC ASSAY_SIMD_X86)
  endif()
  # at::vec chooses its form by these. GCC 12 warns of its own AVX-512 headers.
  set(options_scalar "")
  set(options_avx2 -mavx2 -mfma -mf16c -DCPU_CAPABILITY_AVX2 -DCPU_CAPABILITY=AVX2)
  set(options_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mf16c -DCPU_CAPABILITY_AVX512 -DCPU_CAPABILITY=AVX512)
  foreach(file IN LISTS ARGN)
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE)
    cmake_path(GET file STEM stem)
    foreach(capability IN LISTS capabilities)
      set(copy ${CMAKE_CURRENT_BINARY_DIR}/${stem}_${capability}.cpp)
      file(CONFIGURE OUTPUT ${copy} CONTENT "#include \"${file}\"\n")
      set_source_files_properties(${copy} PROPERTIES SKIP_PRECOMPILE_HEADERS ON COMPILE_OPTIONS
        "${options_${capability}};-DASSAY_CAPABILITY=${capability};-fno-math-errno;-fno-trapping-math;-Wno-psabi;-Wno-uninitialized;-Wno-maybe-uninitialized;-Wno-array-bounds")
      target_sources(${target} PRIVATE ${copy})
    endforeach()
  endforeach()
endfunction()
