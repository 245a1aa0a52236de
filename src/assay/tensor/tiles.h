#pragma once
#include "assay/tensor/product.h"

namespace assay::tensor {

// raw_product on the CPU into a matrix that is there, or into a part of one, whose rows are contiguous: out [M, N] = a b, or out += a b.
// Nothing is allocated or copied where the library takes its operands as they lie.
void product_into(const Tensor& out, const Tensor& a, const Tensor& b, Precision p, bool accumulate = false);

// `a` as product_into would convert it for each product: once is enough where it, or parts of it, go into several. bfloat16 where the processor
// multiplies that, else `a`.
Tensor operand_of(const Tensor& a, Precision p);

}  // namespace assay::tensor
