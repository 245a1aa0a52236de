#pragma once

namespace assay::tensor {

// Which of the compiled forms of a row kernel runs here: the widest that both the processor and the build have. ATEN_CPU_CAPABILITY=default
// or avx2 in the environment lowers it, as it does for ATen's own kernels.
enum class Capability { scalar, avx2, avx512 };
Capability capability();
const char* name_of(Capability c);

}  // namespace assay::tensor

// A table of row kernels whose source file is compiled once for each instruction set (cmake/Simd.cmake): that file defines
// `const Type name` in the namespace ASSAY_CAPABILITY; everyone else calls `name()`.
#ifdef ASSAY_SIMD_X86
#define ASSAY_SIMD_TABLE(Type, name)                                 \
  namespace scalar {                                                 \
  extern const Type name;                                            \
  }                                                                  \
  namespace avx2 {                                                   \
  extern const Type name;                                            \
  }                                                                  \
  namespace avx512 {                                                 \
  extern const Type name;                                            \
  }                                                                  \
  inline const Type& name() {                                        \
    switch (::assay::tensor::capability()) {                         \
      case ::assay::tensor::Capability::avx512: return avx512::name; \
      case ::assay::tensor::Capability::avx2: return avx2::name;     \
      case ::assay::tensor::Capability::scalar: break;               \
    }                                                                \
    return scalar::name;                                             \
  }
#else
#define ASSAY_SIMD_TABLE(Type, name) \
  namespace scalar {                 \
  extern const Type name;            \
  }                                  \
  inline const Type& name() { return scalar::name; }
#endif
