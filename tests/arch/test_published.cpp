// Numbers that were published for the seventeen vocabulary-space variants.
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "arch/helpers.h"

using namespace assay;
using testing::ids;
using testing::merged;
using testing::options_of;
using testing::small_options;

namespace {

// Every parameter theta_j = beta + 0.4 sin(1.7 j + 0.9 c), c the sum of the name's letters mod 97, in float32: published with the answers.
void fill_by_formula(const arch::Built& b) {
  const at::NoGradGuard no_grad;
  for (const auto& e : b.params->entries()) {
    int sum = 0;
    for (char letter : e.name) sum += letter;
    const std::string last = e.name.substr(e.name.find_last_of('.') == std::string::npos ? 0 : e.name.find_last_of('.') + 1);
    const double beta = last.find("scale") != std::string::npos || last == "q_gain" ? 1 : 0;
    Tensor t = at::empty({e.numel}, at::TensorOptions().dtype(at::kFloat));
    for (int64_t j = 0; j < e.numel; ++j)
      t.data_ptr<float>()[j] = static_cast<float>(beta + 0.4 * std::sin(1.7 * static_cast<double>(j) + 0.9 * (sum % 97)));
    b.params->view(b.params->values(), e).copy_(t.view(e.shape));
  }
}

struct Published {
  const char* name;
  int64_t parameters;
  double loss;
  double logits[4];
  double grad_norm, d_logit_scale;
  double loss_at_large_eps;
};

constexpr Published table[] = {
    {"v1_shared_attn", 3607, 4.464704, {-0.44571, 3.67580, 1.40557, -0.77953}, 4.58544, 1.78091, 4.411268},
    {"v2_conv", 851, 4.791566, {-0.31172, 5.02673, 0.40669, 0.03533}, 2.88714, 2.70002, 4.691400},
    {"v3_fourier_linattn", 923, 4.574012, {-0.37010, -0.37898, -0.11504, 0.27842}, 2.25073, 1.94155, 4.570184},
    {"v4_weight_shared", 833, 4.052417, {0.15859, 0.59294, 0.75440, 0.74660}, 8.61241, 1.38139, 4.035872},
    {"v5_fft_linattn", 923, 4.565858, {0.22160, 0.13210, 0.22550, 0.57666}, 1.84250, 1.65292, 4.558900},
    {"v6_banded_fourier", 1385, 6.056597, {0.19648, 6.01810, 0.19763, 0.16285}, 5.06258, 4.97465, 6.015798},
    {"v7_soft_ops", 1371, 4.040473, {0.38323, 0.54108, 0.43308, 0.09725}, 21.07830, 1.19812, 4.034932},
    {"v8_lowrank_vv", 779, 5.018387, {1.10932, 5.28098, 0.08199, 0.04738}, 3.18352, 2.95790, 4.970748},
    {"v9_linattn", 4139, 3.967240, {0.78290, 1.59872, 0.80308, -0.72584}, 2.59741, 1.06380, 3.947031},
    {"v10_state_cond_op", 3031, 6.154813, {-0.12382, 6.02949, 0.15487, 0.12815}, 5.41487, 5.07741, 6.128566},
    {"v11a_mixed_ops", 4269, 4.088050, {0.73720, 2.84042, 0.08643, -0.27409}, 8.53241, 1.25820, 4.110514},
    {"v11b_hard_routing", 6672, 3.735348, {1.24530, 1.52321, 0.15688, -1.22988}, 2.28750, 0.86566, 3.717087},
    {"v12_vocab_slice", 2361, 5.870440, {0.37993, 5.91025, 0.36723, -0.35996}, 6.79199, 4.68722, 5.795985},
    {"v13_with_embedding", 2873, 4.305339, {-0.58573, 0.69374, 1.68966, 0.58587}, 1.50719, 1.15917, 4.299368},
    {"v14_data_dependent", 2099, 5.418153, {-0.10082, 5.49502, 0.11785, -0.07774}, 4.13503, 3.97274, 5.279841},
    {"v15_aux_loss", 2361, 7.279419, {0.21485, 6.03097, 0.21566, -0.21553}, 6.00263, 6.00196, 7.228357},
    {"v16_multi_branch", 4783, 5.740608, {0.24020, 5.73554, -0.24909, 0.20832}, 4.58787, 4.55426, 5.651137},
};

arch::Built published_model(std::string_view name, double rms_eps) {
  const auto& info = arch::find_architecture(name);
  core::Value options = merged(small_options(name), arch::preset_options(info, "reference"));
  if (arch::find_preset(info, "vectors") != nullptr) options = merged(options, arch::preset_options(info, "vectors"));
  options["rms_eps"] = rms_eps;
  arch::BuildOptions build;
  build.dtype = at::kDouble;
  arch::Built b = arch::build(info, options, {32, 8}, build);
  fill_by_formula(b);
  return b;
}

struct Example {
  Tensor ids_BT, targets_BT;
};

Example example() {
  const auto id = [](int64_t r, int64_t t) { return (11 * r + 5 * t + 3 * t * t) % 32; };
  return {ids(2, 8, id), ids(2, 8, [&](int64_t r, int64_t t) { return (3 * id(r, t) + 1) % 32; })};
}

struct Counts {
  const char* name;
  int64_t trainer, constructor;
};

constexpr Counts counts[] = {{"v1_shared_attn", 3359761, 3269409},     {"v2_conv", 353289, 1330225},
                             {"v3_fourier_linattn", 328745, 328745},   {"v4_weight_shared", 101743, 101743},
                             {"v5_fft_linattn", 328745, 918569},       {"v6_banded_fourier", 824417, 824417},
                             {"v7_soft_ops", 328809, 230097},          {"v8_lowrank_vv", 163881, 1081385},
                             {"v9_linattn", 4195369, 4195369},         {"v10_state_cond_op", 1386585, 1386585},
                             {"v11a_mixed_ops", 3425329, 3425329},     {"v11b_hard_routing", 6350906, 6350906},
                             {"v12_vocab_slice", 4198433, 6297649},    {"v13_with_embedding", 4460577, 6559793},
                             {"v14_data_dependent", 2542633, 2542633}, {"v15_aux_loss", 4198433, 4198433},
                             {"v16_multi_branch", 6305397, 1579893}};

}  // namespace

TEST_CASE("every variant gives the published loss, logits and gradient norm at parameters from a formula, with both epsilons") {
  const Example e = example();
  for (const Published& want : table) {
    INFO(std::string(want.name));
    const arch::Built b = published_model(want.name, 1.1920928955078125e-07);
    CHECK(b.params->count() == want.parameters);
    b.model->begin({.training = true});
    const Tensor logits = b.model->forward(e.ids_BT), loss = b.model->loss(logits, e.targets_BT);
    torch::autograd::backward({loss}, {});
    CHECK(loss.item().toDouble() == doctest::Approx(want.loss).epsilon(4e-6));
    CHECK(at::linalg_vector_norm(b.params->grads()).item().toDouble() == doctest::Approx(want.grad_norm).epsilon(1e-5));
    CHECK(b.params->find("logit_scale")->value.grad().item().toDouble() == doctest::Approx(want.d_logit_scale).epsilon(1e-5));
    for (int64_t i = 0; i < 4; ++i) CHECK(std::abs(logits[1][7][i].item().toDouble() - want.logits[i]) < 3e-5);
    const arch::Built large = published_model(want.name, 0.0078125);
    large.model->begin({.training = true});
    CHECK(large.model->loss(large.model->forward(e.ids_BT), e.targets_BT).item().toDouble() ==
          doctest::Approx(want.loss_at_large_eps).epsilon(4e-6));
  }
}

TEST_CASE("v11b exits hard in evaluation: the published losses") {
  const Example e = example();
  for (const auto& [eps, loss] : {std::pair(1.1920928955078125e-07, 3.757046), std::pair(0.0078125, 3.742067)}) {
    const arch::Built b = published_model("v11b_hard_routing", eps);
    CHECK(b.model->loss(b.model->forward(e.ids_BT), e.targets_BT).item().toDouble() == doctest::Approx(loss).epsilon(4e-6));
  }
}

TEST_CASE("parameter counts are the published ones with the trainer's and with the constructor's defaults") {
  for (const Counts& c : counts) {
    INFO(std::string(c.name));
    const auto& info = arch::find_architecture(c.name);
    const auto count = [&](const core::Value& options) { return arch::build(info, options, {1024, 16}, {}).params->count(); };
    CHECK(count(arch::preset_options(info, "trainer")) == c.trainer);
    if (c.constructor != c.trainer) CHECK(count(arch::preset_options(info, "constructor")) == c.constructor);
  }
}

// Nats a token on random ones, V = 1024, two rows of 128, as the published code stands; a range where one was published.
TEST_CASE("a variant's loss before the first update is the published one: median of five seeds within 0.3") {
  struct Initial {
    const char *name, *options;
    double least, most;
  };
  constexpr Initial initial[] = {{"v1_shared_attn", "", 23.65, 23.65},
                                 {"v2_conv", "", 23.4, 23.4},
                                 {"v3_fourier_linattn", "", 7.5, 7.5},
                                 {"v4_weight_shared", "", 21.4, 22.0},
                                 {"v5_fft_linattn", "n_freq=64", 7.5, 7.5},
                                 {"v6_banded_fourier", "", 23.65, 23.65},
                                 {"v7_soft_ops", "n_channels=64", 7.6, 7.6},
                                 {"v8_lowrank_vv", "interaction_rank=64", 14.6, 15.0},
                                 {"v9_linattn", "", 23.1, 23.1},
                                 {"v10_state_cond_op", "", 23.65, 23.65},
                                 {"v11a_mixed_ops", "", 11.3, 11.3},
                                 {"v11b_hard_routing", "", 23.5, 23.5},
                                 {"v12_vocab_slice", "", 23.64, 23.64},
                                 {"v13_with_embedding", "", 7.5, 7.5},
                                 {"v14_data_dependent", "", 23.6, 23.6},
                                 {"v15_aux_loss", "", 37.1, 37.1},
                                 {"v16_multi_branch", "", 23.65, 23.65}};
  const at::NoGradGuard no_grad;
  for (const Initial& want : initial) {
    INFO(std::string(want.name));
    const auto& info = arch::find_architecture(want.name);
    const core::Value options = merged(arch::preset_options(info, "reference"), options_of(want.options));
    std::vector<double> losses;
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      arch::BuildOptions build;
      build.seed = seed;
      const arch::Built b = arch::build(info, options, {1024, 128}, build);
      const core::Stream stream(seed, "initial loss");
      const auto draw = [&](uint64_t salt) {
        return ids(2, 128, [&](int64_t r, int64_t t) {
          return static_cast<int64_t>(stream.below(salt + static_cast<uint64_t>(128 * r + t), 1024));
        });
      };
      b.model->begin({.training = true, .seed = seed});
      losses.push_back(b.model->loss(b.model->forward(draw(0)), draw(1000)).item().toDouble());
    }
    std::sort(losses.begin(), losses.end());
    INFO(losses[0] << " " << losses[1] << " " << losses[2] << " " << losses[3] << " " << losses[4]);
    CHECK(losses[2] > want.least - 0.3);
    CHECK(losses[2] < want.most + 0.3);
  }
}

TEST_CASE("presets name complete sets of options, and older names find the variant") {
  for (const Counts& c : counts) {
    INFO(std::string(c.name));
    const auto& info = arch::find_architecture(c.name);
    for (const char* preset : {"trainer", "constructor", "settings", "reference", "historical"})
      CHECK_NOTHROW(arch::complete_config(info, arch::preset_options(info, preset)));
    CHECK(arch::preset_options(info, "historical").at("rms_eps").as_double() == 0.0078125);
    CHECK_FALSE(info.notes.empty());
  }
  CHECK_THROWS_WITH_AS(arch::preset_options(arch::find_architecture("v9"), "constrctor"), doctest::Contains("constructor"),
                       core::ConfigError);
  CHECK_THROWS_AS(arch::preset_options(arch::find_architecture("gpt2"), "trainer"), core::ConfigError);
  for (const auto& [alias, name] : std::vector<std::pair<const char*, const char*>>{{"wave", "v6_banded_fourier"},
                                                                                    {"v11_brainwave", "v11a_mixed_ops"},
                                                                                    {"tpg", "v11b_hard_routing"},
                                                                                    {"columnar", "v16_multi_branch"},
                                                                                    {"v14_adapt", "v14_data_dependent"},
                                                                                    {"gauss", "v5_fft_linattn"},
                                                                                    {"v3_assoc", "v3_fourier_linattn"}})
    CHECK(arch::find_architecture(alias).name == name);
}

TEST_CASE("sizes that a variant cannot take are refused with the rule") {
  const auto refused = [](const char* name, const char* options, const char* words) {
    INFO(std::string(name) << " " << std::string(options));
    const auto& info = arch::find_architecture(name);
    CHECK_THROWS_WITH_AS(arch::build(info, merged(small_options(info.name), options_of(options)), {40, 8}, {}), doctest::Contains(words),
                         core::ConfigError);
  };
  refused("v1", "vocab_size=42", "2 num_heads");
  refused("v1", "num_kv_heads=3", "does not divide");
  refused("v2", "n_fourier_basis=20", "more than 40");
  refused("v4", "n_heads=3", "does not divide");
  refused("v5", "n_freq=21", "at least 42");
  refused("v6", "n_fourier_basis=5", "band_split");
  refused("v6", "band_split=2,2", "band_split");
  refused("v10", "n_ops=9", "n_ops");
  refused("v12", "k_active=41", "k_active=41");
  refused("v16", "n_branches=25", "n_branches");
  // An option of other variants is refused with those that have it.
  refused("v2", "interaction_rank=4", "v8_lowrank_vv has");
  refused("v4", "num_step=2", "unknown option");
  // The data's vocabulary is rounded up where heads have to share it.
  CHECK(arch::build(arch::find_architecture("v1"), small_options("v1_shared_attn"), {43, 8}, {}).model->vocab_size() == 48);
}
