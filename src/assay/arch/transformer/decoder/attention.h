#pragma once
#include "assay/arch/transformer/decoder/part.h"
#include "assay/layers/rotary.h"

// Causal softmax attention of H heads of width d = C/H; rows of W_qkv are q (C), k, v.
//   y = W_o concat_h softmax(q_h k_g^T / sqrt(d)) v_g + b_o
//   n_kv_head=K < H   K heads of keys and values, each read by H/K heads of queries, g = floor(h K / H)     (Ainslie et al. 2023)
//   qk_norm           q_h, k_g <- RMS(q_h) g_q, RMS(k_g) g_k before the rotation, gains of width d        (Dehghani et al. 2023)
namespace assay::arch::decoder {

struct AttentionConfig {
  int64_t n_kv_head = 0;
  bool qk_norm = false;
  static const core::Schema& schema();
};

class Attention {
 public:
  Attention() = default;
  Attention(const AttentionConfig& c, int64_t width, int64_t heads, const Builder& b, const std::string& name, double out_scale);
  Tensor operator()(const Tensor& z_BTC, layers::Rotary* rotary) const;  // rotary: null where positions are known otherwise
  // Multiply-adds a token of a sequence of T; scores and values over the causal half.
  static double macs(const AttentionConfig& c, double width, double heads, double T);

 private:
  int64_t heads_ = 1, kv_heads_ = 1;
  tensor::Precision precision_ = tensor::Precision::fp32;
  Affine qkv_, out_;
  Tensor q_gain_D_, k_gain_D_;
};

}  // namespace assay::arch::decoder
