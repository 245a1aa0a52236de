#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

namespace assay::testing {

using at::Tensor;
using Tensors = std::vector<Tensor>;

// All that a differentiable op's tests need to know. The reference is composite and differentiable; both return one tensor.
struct OpCase {
  std::string name;
  std::function<Tensors(uint64_t seed)> inputs;  // float64 leaves on the CPU, random
  std::function<Tensor(const Tensors&)> op, reference;
  double tolerance = 1e-5;       // float32 against the float64 reference, ||a - b|| / ||b||
  double bf16_tolerance = 2e-2;  // where `op_bf16` is given
  std::function<Tensor(const Tensors&)> op_bf16;
  bool registered = true;  // false: no op of ours that passes the dispatcher, so there is no schema to hold it against
  bool meta = true;        // false: built of ATen calls, some of which have no Meta form
};

// Values and gradients against the reference in float64 (op in float64 and float32), gradients against central differences,
// Meta shapes, non-contiguous inputs, NaN-poisoned uninitialised memory, bitwise repeatability, and each registered op against its schema
// (schema_watch.h).
void check_op(const OpCase& c, const at::Device& device);

// float32: the errors of value and gradients against float64 are at most 1.1 times those of the reference in the same precision, in relative
// rms and in the worst row. Of tensors with too few numbers for that to be more than chance, nothing is asked.
void check_accuracy(const OpCase& c, const at::Device& device);

// The CUDA device, or nullptr with a message saying why it is skipped.
const at::Device* cuda_or_skip();

}  // namespace assay::testing
