#pragma once
#include <ATen/ops/empty.h>

#include <initializer_list>
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

inline Tensor ids(int64_t rows, int64_t length, const std::function<int64_t(int64_t row, int64_t t)>& id) {
  Tensor t = at::empty({rows, length}, at::TensorOptions().dtype(at::kLong));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < length; ++i) t.data_ptr<int64_t>()[r * length + i] = id(r, i);
  return t;
}

// A model whose every parameter is perturbed at random, so that nothing is hidden behind a zero or a one.
inline arch::Built random_model(std::string_view name, std::initializer_list<std::pair<const char*, core::Value>> options, int64_t vocab,
                                int64_t length) {
  arch::Built b = arch::build(arch::find_architecture(name), configured(options), {vocab, length}, {});
  const at::NoGradGuard no_grad;
  for (const auto& e : b.params->entries()) {
    const core::Stream stream(17, e.name);
    Tensor t = b.params->view(b.params->values(), e);
    Tensor flat = t.view({-1});
    for (int64_t i = 0; i < e.numel; ++i) flat.data_ptr<float>()[i] += static_cast<float>(0.3 * stream.normal(static_cast<uint64_t>(i)));
  }
  return b;
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
