#pragma once
// The narrow part of ATen that nearly every torch file needs; also what is precompiled. Files add `ATen/ops/<name>.h` for what they call.
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace assay {
using at::Tensor;
}  // namespace assay
