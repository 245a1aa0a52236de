# Imported targets for the libtorch inside a PyTorch wheel: torch::headers, torch::c10, torch::torch_cpu and, where the wheel has them,
# torch::c10_cuda and torch::torch_cuda. `find_package(Torch)` is not used: with a CUDA wheel it stops on a machine without a CUDA
# toolkit, and it sets global flags.
#
# ASSAY_TORCH (environment, then CMake): .../site-packages/torch. Default: the environment that scripts/setup makes.
# This file is installed with the package, too: assayConfig.cmake includes it.

if(DEFINED ENV{ASSAY_TORCH} AND NOT "$ENV{ASSAY_TORCH}" STREQUAL "")
  set(ASSAY_TORCH "$ENV{ASSAY_TORCH}")
elseif(NOT EXISTS "${ASSAY_TORCH}/include/ATen/core/Tensor.h")
  set(_given "${ASSAY_TORCH}")
  if(DEFINED ENV{XDG_CACHE_HOME})
    set(_cache "$ENV{XDG_CACHE_HOME}/assay")
  else()
    set(_cache "$ENV{HOME}/.cache/assay")
  endif()
  file(GLOB _found "${_cache}/torch-2.11.0/lib/python3*/site-packages/torch")
  list(APPEND _found "${_given}")
  list(GET _found 0 ASSAY_TORCH)
endif()
if(NOT EXISTS "${ASSAY_TORCH}/include/ATen/core/Tensor.h")
  message(FATAL_ERROR "No libtorch: '${ASSAY_TORCH}' has no include/ATen/core/Tensor.h. "
    "Run scripts/setup, or set ASSAY_TORCH=/path/to/site-packages/torch.")
endif()
set(ASSAY_TORCH "${ASSAY_TORCH}" CACHE PATH "The torch folder of a PyTorch installation" FORCE)

file(STRINGS "${ASSAY_TORCH}/version.py" _line REGEX "^__version__")
string(REGEX MATCH "[0-9][^'\"]*" ASSAY_TORCH_VERSION "${_line}")
if(NOT ASSAY_TORCH_VERSION MATCHES "^2\\.11\\.")
  message(WARNING "Assay is tested with torch 2.11; found ${ASSAY_TORCH_VERSION} in ${ASSAY_TORCH}")
endif()

if(NOT TARGET torch::headers)
  add_library(torch::headers INTERFACE IMPORTED GLOBAL)
  target_include_directories(torch::headers SYSTEM INTERFACE "${ASSAY_TORCH}/include" "${ASSAY_TORCH}/include/torch/csrc/api/include")
  target_compile_definitions(torch::headers INTERFACE AT_PER_OPERATOR_HEADERS)
  foreach(_lib c10 torch_cpu c10_cuda torch_cuda)
    set(_path "${ASSAY_TORCH}/lib/lib${_lib}.so")
    if(EXISTS "${_path}")
      add_library(torch::${_lib} SHARED IMPORTED GLOBAL)
      set_target_properties(torch::${_lib} PROPERTIES IMPORTED_LOCATION "${_path}")
    endif()
  endforeach()
endif()
if(NOT TARGET torch::torch_cpu)
  message(FATAL_ERROR "No libtorch_cpu.so in ${ASSAY_TORCH}/lib")
endif()
