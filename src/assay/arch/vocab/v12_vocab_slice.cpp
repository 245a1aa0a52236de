// v12: each step reads one window of the vocabulary, remembers and transforms inside of it, and writes to another window.
// Source: the vocabulary-space family, variant 12 (published as v12_sparse).
#include "assay/arch/vocab/slice.h"

namespace assay::arch::vocab {
namespace {

struct Config : CommonOptions, ActivationOptions, ScoreOptions, DecayOptions, SliceOptions, WaveOptions {
  static const core::Schema& schema() {
    static const core::Schema s = declare<Config>({});
    return s;
  }
};

//   g = x[read];  g <- g + mem_scale Mem(rho_k(g));  o = write_scale / sqrt(k) act(rho_k(g) W_down^T + b) W_up^T    (SliceStep)
//   x <- x + scatter(o, write)                                                                                   (SteppedSlices)
class VocabSlice final : public SteppedSlices {
 public:
  VocabSlice(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision)
      : SteppedSlices(c, c, c, c, vocabulary(c.vocab_size, dims), p, precision) {
    add_steps(p, c.k_active, c.decay_init);
    finish(p);
  }
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<VocabSlice>(configure<Config>(config), dims, params, precision);
}

Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const Sizes n(c, dims);
  const auto k = static_cast<double>(c.k_active);
  return slice_steps_cost(static_cast<double>(c.num_steps), k, k * static_cast<double>(c.inner_mul), n.T);
}

constexpr Preset presets[] = {
    {"trainer", ""},
    {"constructor", "num_steps=12"},
    {"settings", "num_steps=12"},
    {"reference", "activation_fallback=true parallel_waves=true"},
    {"historical", "activation_fallback=true parallel_waves=true reversed_mask=true rms_eps=0.0078125"},
};

}  // namespace

ASSAY_ARCHITECTURE(v12_vocab_slice){
    .name = "v12_vocab_slice",
    .aliases = "v12_sparse sparse v12",
    .family = "vocabulary space",
    .mixer = "decay linear attention inside of a window of the vocabulary",
    .transform = "MLP from one window to another",
    .summary = "each step reads k neighbouring token ids, works on them, and writes to k others half a vocabulary away",
    .source = "vocabulary-space family, variant 12",
    .equations = "x = rho(onehot(u));  step i of N:\n"
                 "  g = x[read_i];  g += mem_scale s DLA(z W_q^T / sqrt(k), z W_k^T, z W_v^T) W_o^T,  z = rho(g)\n"
                 "  x[write_i] += write_scale / sqrt(k) act(rho(g) W_down^T + b) W_up^T\n"
                 "read_i = k ids from i floor(V/N) on,  write_i = the same V/2 further, both modulo V\n"
                 "DLA(q, k, v)_t = sum_{s<t} sigmoid(delta)^(t-s-1) (q_t.k_s) v_s\n"
                 "logits = c tanh(gamma rho(x) / c)",
    .notes = "Published: 5.46 nats (3.24 bits per byte) after 636 updates in 600 s at N = 8, with the corrected mask: trustworthy, though "
             "with an\n"
             "epsilon of 2^-7, which matters here: slices are often exactly zero, where the norm's derivative is eps^(-1/2). Windows are "
             "ranges of\n"
             "token ids, so quality depends on the order of the tokenizer's ids. Published waves are another function for some (N, k): "
             "steps here run\n"
             "one after the other.",
    .presets = presets,
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost};

}  // namespace assay::arch::vocab
