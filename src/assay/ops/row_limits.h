#pragma once
#include <cstdint>

namespace assay::ops {

inline constexpr int64_t kWidestRow = 2048;  // that a few neighbouring warps hold; wider rows take ordinary calls

}  // namespace assay::ops
