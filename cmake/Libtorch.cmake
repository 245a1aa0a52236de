# Imported targets for the libtorch inside a PyTorch wheel: torch::c10, torch::cpu and, where the wheel has them, torch::c10_cuda and
# torch::cuda. `find_package(Torch)` is not used: with a CUDA wheel it stops on a machine without a CUDA toolkit and sets global flags.
#
# ASSAY_TORCH (CMake or environment): .../site-packages/torch. Default: the environment that scripts/setup makes.

if(NOT ASSAY_TORCH)
  set(ASSAY_TORCH "$ENV{ASSAY_TORCH}")
endif()
if(NOT ASSAY_TORCH)
  if(DEFINED ENV{XDG_CACHE_HOME})
    set(_cache "$ENV{XDG_CACHE_HOME}/assay")
  else()
    set(_cache "$ENV{HOME}/.cache/assay")
  endif()
  file(GLOB _found "${_cache}/torch-2.11.0/lib/python3*/site-packages/torch")
  list(APPEND _found "")
  list(GET _found 0 ASSAY_TORCH)
endif()
if(NOT EXISTS "${ASSAY_TORCH}/include/ATen/core/Tensor.h")
  message(FATAL_ERROR "No libtorch: '${ASSAY_TORCH}' has no include/ATen/core/Tensor.h. Run scripts/setup, or set ASSAY_TORCH=/path/to/site-packages/torch.")
endif()
set(ASSAY_TORCH "${ASSAY_TORCH}" CACHE PATH "The torch folder of a PyTorch installation" FORCE)

file(STRINGS "${ASSAY_TORCH}/version.py" _line REGEX "^__version__")
string(REGEX MATCH "[0-9][^'\"]*" ASSAY_TORCH_VERSION "${_line}")
if(NOT ASSAY_TORCH_VERSION MATCHES "^2\\.11\\.")
  message(WARNING "Assay is tested with torch 2.11; found ${ASSAY_TORCH_VERSION} in ${ASSAY_TORCH}")
endif()

add_library(torch_headers INTERFACE)
target_include_directories(torch_headers SYSTEM INTERFACE
  "$<BUILD_INTERFACE:${ASSAY_TORCH}/include>" "$<BUILD_INTERFACE:${ASSAY_TORCH}/include/torch/csrc/api/include>")
# Narrow headers only: a file that includes torch/torch.h takes 50 s to compile, one of these about 4 s.
target_compile_definitions(torch_headers INTERFACE AT_PER_OPERATOR_HEADERS TORCH_ASSERT_ONLY_METHOD_OPERATORS)

foreach(_lib c10 torch_cpu c10_cuda torch_cuda)
  set(_path "${ASSAY_TORCH}/lib/lib${_lib}.so")
  if(EXISTS "${_path}")
    add_library(torch::${_lib} SHARED IMPORTED GLOBAL)
    set_target_properties(torch::${_lib} PROPERTIES IMPORTED_LOCATION "${_path}" IMPORTED_NO_SONAME FALSE)
  endif()
endforeach()
if(NOT TARGET torch::torch_cpu)
  message(FATAL_ERROR "No libtorch_cpu.so in ${ASSAY_TORCH}/lib")
endif()
