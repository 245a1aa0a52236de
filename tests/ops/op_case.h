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
  std::function<Tensor(const Tensors&)> composite_bf16;  // ordinary calls in op_bf16's precision: what check_accuracy holds it against
  bool registered = true;  // false: no op of ours that passes the dispatcher, so there is no schema to hold it against
  bool meta = true;        // false: built of ATen calls, some of which have no Meta form
};

// Values and gradients against the reference in float64 (op in float64 and float32), gradients against central differences,
// Meta shapes, non-contiguous inputs, NaN-poisoned uninitialised memory, bitwise repeatability, and each registered op against its schema
// (schema_watch.h).
void check_op(const OpCase& c, const at::Device& device);

// The errors of value and gradients against float64 are at most 1.1 times those of ordinary calls in the same precision, in relative rms and in
// the worst row (geometric mean over draws): in float32 those of the reference, in bfloat16, of inputs that bfloat16 holds, those of `composite_bf16`. Of
// tensors with too few numbers for that to be more than chance nothing is asked; on a GPU nothing yet. With ASSAY_PRINT_ERRORS in the environment a line
// each is printed: device, precision, case, tensor, the two ratios, the op's relative rms.
void check_accuracy(const OpCase& c, const at::Device& device);

// The CUDA device, or nullptr with a message saying why it is skipped.
const at::Device* cuda_or_skip();

// The CPU and, where it is there, the GPU.
std::vector<const at::Device*> devices();

}  // namespace assay::testing
