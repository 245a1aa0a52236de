#include "assay/arch/vocab/skeleton.h"

#include <ATen/ops/tanh.h>

#include "assay/core/error.h"
#include "assay/layers/embedding.h"
#include "assay/layers/rms_norm.h"
#include "assay/ops/loss_head/loss_head.h"

namespace assay::arch::vocab {

Tensor Skeleton::rho(const Tensor& z) const { return layers::rms_norm(z, common_.rms_eps); }

Tensor Skeleton::forward(const Tensor& input, const Observer* observe) {
  const Observer nobody = [](std::string_view, const Tensor&) {};
  const Observer& seen = observe != nullptr ? *observe : nobody;
  const Tensor embedded = rho(layers::one_hot(input, common_.vocab_size, logit_scale_.scalar_type()));
  seen("embed", embedded);
  const Tensor x = steps(embedded, seen);
  const Tensor final_state = rho(x);
  seen("final", final_state);
  return head(final_state);
}

Tensor Skeleton::training_loss(const Tensor& ids_BT, const Tensor& targets_BT) {
  const Tensor x =
      steps(rho(layers::one_hot(ids_BT, common_.vocab_size, logit_scale_.scalar_type())), [](std::string_view, const Tensor&) {});
  return ops::loss_head(x, logit_scale_, targets_BT, {.norm_eps = common_.rms_eps, .softcap = common_.logit_softcap});
}

Tensor Skeleton::head(const Tensor& normalised) const {
  return at::tanh(normalised * (logit_scale_ / common_.logit_softcap)) * common_.logit_softcap;
}

Tensor Skeleton::read_out(std::string_view, const Tensor& state) {
  return state.size(-1) == common_.vocab_size ? head(rho(state)) : Tensor();
}

int64_t vocabulary(int64_t configured, const Dims& dims) {
  const int64_t v = configured > 0 ? configured : dims.vocab_size;
  if (v < 2) throw core::ConfigError("model", "vocab_size must be at least 2, got " + std::to_string(v));
  if (dims.vocab_size > v)
    throw core::ConfigError(
        "model", "vocab_size=" + std::to_string(v) + " is smaller than the data's vocabulary of " + std::to_string(dims.vocab_size));
  return v;
}

}  // namespace assay::arch::vocab
