#pragma once
#include <type_traits>

#include "assay/core/options.h"

// Options that variants of the vocabulary-space family have in common, in groups from which a variant's Config derives.
namespace assay::arch::vocab {

struct CommonOptions {
  int64_t vocab_size = 0;
  double logit_softcap = 30, rms_eps = 1.1920928955078125e-07;
  bool emulate_bf16_init = false;
};

struct ActivationOptions {
  std::string activation = "gelu";
  bool activation_fallback = false;
};

struct ScoreOptions {  // of decay attention
  double score_scale = 1;
  bool reversed_mask = false;
};

struct DecayOptions {
  double decay_init = 3;
};

struct FourierOptions {
  int64_t n_fourier_basis = 16, n_channels = 128;
};

struct SliceOptions {
  int64_t k_active = 256;
};

struct WaveOptions {
  int64_t num_steps = 8, inner_mul = 2;
  bool parallel_waves = false, grad_checkpoint = false;
};

template <class Config, class Group, class M, class... Range>
core::FieldBuilder<Config> inherited(const char* name, M Group::*member, const char* help, Range... range) {
  return core::option(name, static_cast<M Config::*>(member), help, range...);
}

// The schema of `Config`: its own options between the vocabulary and those of the groups that it derives from.
template <class Config>
core::Schema declare(std::initializer_list<core::FieldBuilder<Config>> own) {
  const Config defaults{};
  std::vector<core::Field> fields;
  const auto add = [&](const core::FieldBuilder<Config>& builder) {
    fields.push_back(builder.copy());
    fields.back().default_value = fields.back().get(&defaults);
  };
  add(inherited<Config>("vocab_size", &CommonOptions::vocab_size, "vocabulary and width of the state; 0 = the data's", 0, 65536)
          .env("VOCAB_SIZE"));
  if constexpr (std::is_base_of_v<WaveOptions, Config>) {
    add(inherited<Config>("num_steps", &WaveOptions::num_steps, "recurrent steps N", 1, 1024).env("NUM_STEPS"));
    add(inherited<Config>("inner_mul", &WaveOptions::inner_mul, "width of the MLP: h = k_active times this", 1, 1024).env("INNER_MUL"));
  }
  for (const auto& builder : own) add(builder);
  if constexpr (std::is_base_of_v<FourierOptions, Config>) {
    add(inherited<Config>("n_fourier_basis", &FourierOptions::n_fourier_basis, "harmonics K of the table over the vocabulary; 2 K < V", 1,
                          32768)
            .env("N_FOURIER_BASIS"));
    add(inherited<Config>("n_channels", &FourierOptions::n_channels, "channels C", 1, 65536).env("N_CHANNELS"));
  }
  if constexpr (std::is_base_of_v<SliceOptions, Config>)
    add(inherited<Config>("k_active", &SliceOptions::k_active, "width k of the windows that a step reads and writes; k <= V", 1, 65536)
            .env("K_ACTIVE"));
  add(inherited<Config>("logit_softcap", &CommonOptions::logit_softcap, "logits stay within +-c", 1e-3, 1e6).env("LOGIT_SOFTCAP"));
  if constexpr (std::is_base_of_v<DecayOptions, Config>)
    add(inherited<Config>("decay_init", &DecayOptions::decay_init, "initial decay logit", -40, 40).env("DECAY_INIT"));
  if constexpr (std::is_base_of_v<ActivationOptions, Config>)
    add(inherited<Config>("activation", &ActivationOptions::activation, "gelu, relu, relu2 or swish").env("ACTIVATION"));
  add(inherited<Config>("rms_eps", &CommonOptions::rms_eps, "epsilon of the norms (2^-7 in the recorded GPU runs)", 0, 1));
  if constexpr (std::is_base_of_v<ScoreOptions, Config>)
    add(inherited<Config>("score_scale", &ScoreOptions::score_scale, "factor on the attention scores", 0, 1e6));
  if constexpr (std::is_base_of_v<ActivationOptions, Config>)
    add(inherited<Config>("activation_fallback", &ActivationOptions::activation_fallback,
                          "compatibility: an unknown activation name means gelu"));
  if constexpr (std::is_base_of_v<ScoreOptions, Config>)
    add(inherited<Config>("reversed_mask", &ScoreOptions::reversed_mask,
                          "compatibility: attend to the FUTURE (s > t), as before the published fix"));
  if constexpr (std::is_base_of_v<WaveOptions, Config>) {
    add(inherited<Config>("parallel_waves", &WaveOptions::parallel_waves,
                          "compatibility: the published grouping of steps, even where it changes the function")
            .env("PARALLEL_WAVES"));
    add(inherited<Config>("grad_checkpoint", &WaveOptions::grad_checkpoint,
                          "compute each step again in backward instead of keeping its results")
            .env("GRAD_CHECKPOINT")
            .neutral());
  }
  add(inherited<Config>("emulate_bf16_init", &CommonOptions::emulate_bf16_init, "compatibility: round initial values and tables to bf16"));
  return core::Schema("model", std::move(fields));
}

}  // namespace assay::arch::vocab
