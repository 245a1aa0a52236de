// v16: several columns of slice steps, each with a gated bundle of small MLPs, then a learned vote over the columns.
// Source: the vocabulary-space family, variant 16 (published as v16_columnar).
#include <ATen/ops/addcmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>

#include <cmath>

#include "assay/arch/vocab/slice.h"
#include "assay/core/error.h"

namespace assay::arch::vocab {
namespace {

using tensor::constant;
using tensor::normal;

struct Config : CommonOptions, ActivationOptions, ScoreOptions, DecayOptions, SliceOptions {
  int64_t num_columns = 4, steps_per_column = 3, inner_mul = 2, n_branches = 4, n_fourier_basis = 16, n_channels = 128;

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = declare<Config>({
        option("num_columns", &Config::num_columns, "columns P", 1, 1024).env("NUM_COLUMNS"),
        option("steps_per_column", &Config::steps_per_column, "steps S of each", 1, 1024).env("STEPS_PER_COLUMN"),
        option("inner_mul", &Config::inner_mul, "width of all branches together: h = k_active times this", 1, 1024).env("INNER_MUL"),
        option("n_branches", &Config::n_branches, "branches of a step; each is floor(h / n_branches) wide", 1, 1024).env("N_BRANCHES"),
        option("n_fourier_basis", &Config::n_fourier_basis, "accepted as in the published constructor, where it sets nothing", 1, 32768)
            .env("N_FOURIER_BASIS")
            .neutral(),
        option("n_channels", &Config::n_channels, "accepted as in the published constructor, where it sets nothing", 1, 65536)
            .env("N_CHANNELS")
            .neutral(),
    });
    return s;
  }
};

//   g = x[read];  g <- g + mem_scale Mem(rho_k(g));   z = rho_k(g)
//   x <- x + scatter(write_scale / sqrt(k) sum_b softmax(z G^T + c)_b act(z D_b^T + bias) U_b^T, write)
struct Step {
  Windows windows;
  SliceMemory memory;
  std::vector<Tensor> D_nk, U_kn;
  Tensor bias_n, G_bk, c_b, mem_scale, write_scale;
};

struct Column {
  std::vector<Step> steps;
  Tensor confidence;
};

class MultiBranch final : public Sliced {
 public:
  MultiBranch(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision)
      : Sliced(c, vocabulary(c.vocab_size, dims), p, precision, c),
        activation_(layers::activation_from(c.activation, c.activation_fallback)) {
    const int64_t P = c.num_columns, S = c.steps_per_column;
    if (c.k_active * c.inner_mul < c.n_branches)
      throw core::ConfigError("model", "n_branches=" + std::to_string(c.n_branches) + " leaves nothing of a width of " +
                                           std::to_string(c.k_active * c.inner_mul) + " = k_active * inner_mul");
    for (int64_t column = 0; column < P; ++column) {
      const std::string prefix = "columns." + std::to_string(column) + ".";
      columns_.emplace_back();
      for (int64_t i = 0; i < S; ++i)
        columns_.back().steps.push_back(
            add_branches(p, prefix + "steps." + std::to_string(i) + ".", c, windows_of(i * P + column, S * P, vocab_size(), c.k_active)));
      columns_.back().confidence = p.add(prefix + "confidence", {}, constant(0));
    }
    I_PP_ = p.add("inhibition", {P, P}, constant(0));
    finish(p);
  }

 private:
  static Step add_branches(tensor::Params& p, const std::string& step, const Config& c, const Windows& windows) {
    const int64_t k = c.k_active, n = k * c.inner_mul / c.n_branches;
    Step s{windows, add_memory(p, step + "memory.", k, c.decay_init), {}, {}, {}, {}, {}, {}, {}};
    const std::string mlp = step + "mlp.";
    for (int64_t b = 0; b < c.n_branches; ++b) {
      s.D_nk.push_back(p.add(mlp + "branch_down." + std::to_string(b) + ".weight", {n, k}, normal(0.1)));
      s.U_kn.push_back(p.add(mlp + "branch_up." + std::to_string(b) + ".weight", {k, n}, normal(0.1)));
    }
    s.bias_n = p.add(mlp + "bias", {n}, constant(0));
    s.G_bk = p.add(mlp + "gate_proj.weight", {c.n_branches, k}, constant(0));
    s.c_b = p.add(mlp + "gate_proj.bias", {c.n_branches}, constant(1));
    s.mem_scale = p.add(step + "mem_scale", {1}, constant(1));
    s.write_scale = p.add(step + "write_scale", {}, constant(0.1));
    return s;
  }

  Tensor steps(Tensor x_BTV, const Observer& seen) override {
    std::vector<Tensor> states, confidences;
    for (size_t c = 0; c < columns_.size(); ++c) {
      Tensor column_BTV = x_BTV;
      for (size_t i = 0; i < columns_[c].steps.size(); ++i) {
        column_BTV = step(columns_[c].steps[i], column_BTV);
        seen("columns." + std::to_string(c) + ".steps." + std::to_string(i), column_BTV);
      }
      states.push_back(column_BTV);
      confidences.push_back(columns_[c].confidence);
    }
    // w = softmax(c - I sg[c]);  x = sum_c w_c x^(c)
    const Tensor c_P = at::stack(confidences), w_P = at::softmax(c_P - I_PP_.mv(c_P.detach()), 0);
    Tensor voted_BTV = states[0] * w_P[0];
    for (size_t c = 1; c < states.size(); ++c) voted_BTV = at::addcmul(voted_BTV, states[c], w_P[static_cast<int64_t>(c)]);
    seen("vote", voted_BTV);
    return voted_BTV;
  }

  Tensor step(const Step& s, const Tensor& x_BTV) {
    const Tensor z_BTk = rho(gather(s.memory, s.mem_scale, x_BTV, s.windows.read));
    const Tensor gate_BTb = at::softmax(linear(z_BTk, s.G_bk, s.c_b), -1);
    Tensor o_BTk;
    for (size_t b = 0; b < s.D_nk.size(); ++b) {
      const Tensor gated_BTn =
          layers::activate(linear(z_BTk, s.D_nk[b], s.bias_n), activation_) * gate_BTb.narrow(-1, static_cast<int64_t>(b), 1);
      const Tensor branch_BTk = linear(gated_BTn, s.U_kn[b]);
      o_BTk = b == 0 ? branch_BTk : o_BTk + branch_BTk;
    }
    return add(x_BTV, o_BTk * (s.write_scale / std::sqrt(static_cast<double>(s.windows.write.k))), s.windows.write);
  }

  layers::Activation activation_;
  std::vector<Column> columns_;
  Tensor I_PP_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<MultiBranch>(configure<Config>(config), dims, params, precision);
}

Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const Sizes n(c, dims);
  const auto PS = static_cast<double>(c.num_columns * c.steps_per_column), k = static_cast<double>(c.k_active),
             b = static_cast<double>(c.n_branches),
             width = static_cast<double>(c.k_active * c.inner_mul) / static_cast<double>(c.n_branches);
  return cost_of(PS * (4 * k * k + 2 * b * k * width + b * k), PS * n.T * k,
                 PS * (8 * k + 3 * b * width) + static_cast<double>(c.num_columns) * n.V);
}

constexpr Preset presets[] = {{"trainer", ""},
                              {"constructor", "k_active=128"},
                              {"settings", "k_active=128"},
                              {"reference", "activation_fallback=true"},
                              {"historical", "activation_fallback=true reversed_mask=true rms_eps=0.0078125"}};

}  // namespace

ASSAY_ARCHITECTURE(v16_multi_branch){
    .name = "v16_multi_branch",
    .aliases = "v16_columnar columnar v16",
    .family = "vocabulary space",
    .mixer = "decay linear attention inside of windows of the vocabulary, in parallel columns",
    .transform = "gated bundle of small MLPs from one window to another, then a vote over the columns",
    .summary = "parallel columns of slice steps, each with gated branches; a learned vote that does not depend on the input joins them",
    .source = "vocabulary-space family, variant 16",
    .equations = "x = rho(onehot(u));  column c of P starts there and takes S steps i:\n"
                 "  g = x[read];  g += mem_scale s DLA(z W_q^T / sqrt(k), z W_k^T, z W_v^T) W_o^T,  z = rho(g)\n"
                 "  z = rho(g);  x[write] += write_scale / sqrt(k) sum_b softmax(z G^T + c)_b act(z D_b^T + bias) U_b^T\n"
                 "w = softmax(c - I sg[c]) of the confidences c;  x = sum_c w_c x^(c)\n"
                 "read = k ids from (i P + c) floor(V / (S P)) on,  write = the same V/2 further, both modulo V\n"
                 "DLA(q, k, v)_t = sum_{s<t} sigmoid(delta)^(t-s-1) (q_t.k_s) v_s\n"
                 "logits = c tanh(gamma rho(x) / c)",
    .notes = "Published: nothing. Inhibition is described as acting between the columns' states at each step; it only shifts the vote, "
             "once, and has\n"
             "no gradient until the confidences have moved. NUM_STEPS, N_CHANNELS and N_FOURIER_BASIS set nothing here.",
    .presets = presets,
    .stopped = "confidence",
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost};

}  // namespace assay::arch::vocab
