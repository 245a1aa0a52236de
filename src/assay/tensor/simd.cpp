#include "assay/tensor/simd.h"

#include <ATen/Version.h>

#include <string>

namespace assay::tensor {

Capability capability() {
  static const Capability found = [] {
    const std::string name = at::get_cpu_capability();
    if (name.rfind("AVX512", 0) == 0) return Capability::avx512;
    return name == "AVX2" ? Capability::avx2 : Capability::scalar;
  }();
  return found;
}

const char* name_of(Capability c) { return c == Capability::avx512 ? "avx512" : c == Capability::avx2 ? "avx2" : "scalar"; }

}  // namespace assay::tensor
