#pragma once
#include <ATen/core/ivalue.h>
#include <ATen/record_function.h>

#include <string>
#include <vector>

namespace assay::testing {

// While it lives, every call of one of our ops (namespace assay), forward or backward, on any thread, is held against the op's schema:
//   mutation  an argument that the schema does not mark as written (Tensor(a!)) has the same bits after the call as before
//   aliasing  no result shares memory with an argument or with another result unless the schema says so. Empty results may be one tensor
//             here, which opcheck refuses: residual_backward and sphere_step_backward return one for all gradients that are not wanted
//   Meta      the op on Meta copies of the same arguments gives results of the same sizes, strides and dtypes
//   autograd  where an argument wants a gradient, the op has a kernel for autograd
// This is what PyTorch's opcheck asks of an op's schema, its Meta form and its registration with autograd, for the calls that a test makes;
// tests/contract looks for the kernels themselves. `check` judges what was seen: call it outside of the calls.
class SchemaWatch {
 public:
  explicit SchemaWatch(std::string name = "assay::");  // prefix of the ops that are watched
  ~SchemaWatch();
  SchemaWatch(const SchemaWatch&) = delete;
  SchemaWatch& operator=(const SchemaWatch&) = delete;
  // Sentences about what was wrong; `seen`, where given, receives the number of calls.
  std::vector<std::string> faults(int64_t* seen = nullptr);
  void check();  // doctest: no fault, and at least one call

 private:
  at::CallbackHandle handle_;
};

}  // namespace assay::testing
