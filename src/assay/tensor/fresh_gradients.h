#pragma once
#include "assay/tensor/params.h"

namespace assay::tensor {

// Gradients of the first backward pass of an update, handed over instead of added to zeros: a gradient that a pass has made in its parameter's layout is
// copied into the flat buffer, as soon as it is complete, and its memory is free again. Zeroing and adding would move twice the bytes.
//
//   fresh.begin();  backward;  fresh.end();   then params.grads() holds what zeroing before the pass would have given, and later passes add to it
class FreshGradients {
 public:
  // The parameters are sealed and outlive this. Their gradients are views of params.grads() but between begin and end.
  explicit FreshGradients(Params& params);
  void begin();
  void end();  // a parameter that the pass did not reach gets zeros

 private:
  Params& params_;
};

}  // namespace assay::tensor
