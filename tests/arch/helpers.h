#pragma once
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <initializer_list>
#include <map>
#include <sstream>
#include <utility>

#include "assay/arch/architecture.h"
#include "assay/core/error.h"
#include "assay/core/random.h"

namespace assay::testing {

inline core::Value configured(std::initializer_list<std::pair<const char*, core::Value>> options) {
  core::Value v = core::Value::object();
  for (const auto& [name, value] : options) v[name] = value;
  return v;
}

// "num_steps=2 activation=swish" as options.
inline core::Value options_of(const std::string& text) {
  core::Value v = core::Value::object();
  std::istringstream words(text);
  for (std::string word; words >> word;) v[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
  return v;
}

inline core::Value merged(core::Value a, const core::Value& b) {
  for (const auto& [name, value] : b.as_object()) a[name] = value;
  return a;
}

// Options with which an architecture is small and takes a vocabulary of 40 (or 32, or more): those of the published conformance numbers.
inline const std::map<std::string, std::string>& small_vocab_options() {
  static const std::string fourier = "n_fourier_basis=4 n_channels=8 ", slice = "num_steps=2 k_active=12 inner_mul=2 ";
  static const std::map<std::string, std::string> all = {
      {"v1_shared_attn", fourier + "num_steps=2 num_heads=4 num_kv_heads=2"},
      {"v2_conv", fourier + "num_steps=2 kernel_size=4"},
      {"v3_fourier_linattn", fourier + "num_steps=2"},
      {"v4_weight_shared", fourier + "unique_steps=2 invocations_per_step=2 n_heads=2 transform_rank=4"},
      {"v5_fft_linattn", "num_steps=2 n_freq=4 n_channels=8"},
      {"v6_banded_fourier", fourier + "num_cycles=2 band_split=1,1,2"},
      {"v7_soft_ops", fourier + "num_instructions=2 n_ops=8"},
      {"v8_lowrank_vv", "num_hops=2 interaction_rank=4"},
      {"v9_linattn", "num_steps=2 state_dim=8 inner_dim=16"},
      {"v10_state_cond_op", "num_steps=2 state_dim=8 n_ops=8"},
      {"v11a_mixed_ops", "num_steps=2 state_dim=8 inner_dim=16 gate_dim=8"},
      {"v11b_hard_routing", "num_steps=2 state_dim=8 inner_dim=16"},
      {"v12_vocab_slice", slice},
      {"v13_with_embedding", slice + "embed_dim=8"},
      {"v14_data_dependent", fourier + "num_steps=2 kernel_size=4 k_active=12"},
      {"v15_aux_loss", slice + "sparsity_k=10"},
      {"v16_multi_branch", "num_columns=2 steps_per_column=2 n_branches=2 k_active=12 inner_mul=2"},
  };
  return all;
}

inline core::Value small_options(std::string_view name) {
  const auto found = small_vocab_options().find(std::string(name));
  return found == small_vocab_options().end() ? core::Value::object() : options_of(found->second);
}

inline Tensor ids(int64_t rows, int64_t length, const std::function<int64_t(int64_t row, int64_t t)>& id) {
  Tensor t = at::empty({rows, length}, at::TensorOptions().dtype(at::kLong));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < length; ++i) t.data_ptr<int64_t>()[r * length + i] = id(r, i);
  return t;
}

// A model whose every parameter is perturbed at random, so that nothing is hidden behind a zero or a one.
inline arch::Built random_model(std::string_view name, const core::Value& options, int64_t vocab, int64_t length,
                                at::ScalarType dtype = at::kFloat) {
  at::set_num_threads(1);  // for models as small as these more only wait for each other
  arch::BuildOptions build;
  build.dtype = dtype;
  arch::Built b = arch::build(arch::find_architecture(name), options, {vocab, length}, build);
  const at::NoGradGuard no_grad;
  for (const auto& e : b.params->entries()) {
    const core::Stream stream(17, e.name);
    Tensor noise = at::empty({e.numel}, at::TensorOptions().dtype(at::kDouble));
    for (int64_t i = 0; i < e.numel; ++i) noise.data_ptr<double>()[i] = 0.3 * stream.normal(static_cast<uint64_t>(i));
    Tensor t = b.params->view(b.params->values(), e);
    t.add_(noise.view(t.sizes()).to(dtype));
  }
  return b;
}

inline arch::Built random_model(std::string_view name, std::initializer_list<std::pair<const char*, core::Value>> options, int64_t vocab,
                                int64_t length) {
  return random_model(name, configured(options), vocab, length);
}

// Logits of positions before `first`, for two inputs that differ only from `first` on.
inline std::pair<Tensor, Tensor> logits_before_change(const arch::Built& b, int64_t vocab, int64_t length, int64_t first) {
  const at::NoGradGuard no_grad;
  const core::Stream stream(3, "ids");
  const auto id = [&](int64_t r, int64_t t, uint64_t salt) {
    return static_cast<int64_t>(stream.below(static_cast<uint64_t>(r * length + t) + salt, static_cast<uint64_t>(vocab)));
  };
  const Tensor a = ids(2, length, [&](int64_t r, int64_t t) { return id(r, t, 0); });
  const Tensor c = ids(2, length, [&](int64_t r, int64_t t) { return id(r, t, t >= first ? 100000 : 0); });
  return {b.model->forward(a).narrow(1, 0, first), b.model->forward(c).narrow(1, 0, first)};
}

}  // namespace assay::testing
