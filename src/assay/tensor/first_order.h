#pragma once
#include <ATen/core/grad_mode.h>

#include "assay/tensor/aten.h"

namespace assay::tensor {

// Stands at the beginning of a node's backward pass: nothing that follows is recorded. A second derivative through it would come out as that of a
// constant, so asking for one (create_graph, with an operand that wants a gradient) is refused by name.
class FirstOrderOnly {
 public:
  FirstOrderOnly(const char* op, at::ArrayRef<Tensor> gradients, at::ArrayRef<Tensor> operands = {}) {
    if (!recorded_) return;
    for (const at::ArrayRef<Tensor> some : {gradients, operands})
      for (const Tensor& t : some)
        TORCH_CHECK_NOT_IMPLEMENTED(!t.defined() || !t.requires_grad(), "[", op, "] second derivatives are refused: the op has first ones");
  }

 private:
  const bool recorded_ = at::GradMode::is_enabled();
  const at::NoGradGuard not_recorded_;
};

}  // namespace assay::tensor
