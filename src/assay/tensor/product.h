#pragma once
#include "assay/tensor/aten.h"

namespace assay::tensor {

// Arithmetic of the matrix products of a model; everything else (residual stream, norms, loss, parameters) stays in the
// parameters' dtype. bf16: operands rounded to bf16, sums in fp32.
enum class Precision { fp32, bf16 };
Precision precision_from(std::string_view name);  // ConfigError with the nearest name
const char* name_of(Precision p);

// Which library computes products on the CPU. `aten`: at::mm, which goes to MKL; `onednn`: oneDNN, much faster than MKL's fp32 on
// some processors, though it copies a left operand that is a transposed view (gradients of weights) or a part of a matrix (tiles);
// `mixed`: oneDNN where the left operand is contiguous, at::mm elsewhere. Summation order differs between them, so the choice and the
// thread count belong to a run, its checkpoints and all members of a campaign.
enum class ProductBackend { aten, onednn, mixed };
struct ProductChoice {
  ProductBackend fp32 = ProductBackend::aten;
  bool native_bf16 = false;  // false: bf16 operands are multiplied in fp32 (exact products of rounded operands)
};

// Times both on products of the size and layouts that models use (about 50 ms in all). A library that cannot run here never wins.
ProductChoice measure_products();
// "aten", "onednn" or "mixed", each also with "+bf16"; "auto" is what was measured first on such a machine (product_cache.h), so that the same command
// gives the same model. ConfigError for another name or one that this processor cannot run.
ProductChoice product_choice_from(std::string_view name);
std::string name_of(ProductChoice c);
void set_product_choice(ProductChoice c);
ProductChoice product_choice();

// Whether activations of x's device and dtype stay bfloat16 from op to op under `p`: beside float32 parameters, where bfloat16 is multiplied natively
// (CUDA; a CPU whose product choice says so).
bool keeps_bf16(const Tensor& x, Precision p);

// a [M, K] times b [K, N], either may be a transposed view; differentiable once. float32 or float64, CPU or CUDA; result in the
// operands' dtype. float64 ignores `p`. With bf16, a may be bfloat16 beside a float32 matrix b: the result then is bfloat16, the gradient of b
// float32.
Tensor product(const Tensor& a, const Tensor& b, Precision p);
// x [..., in] times w^T for w [out, in], plus bias [out] where defined.
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias, Precision p);

// The same without a derivative, for kernels: the chosen library on 2-D float32/float64 operands.
Tensor raw_product(const Tensor& a, const Tensor& b, Precision p);

}  // namespace assay::tensor
