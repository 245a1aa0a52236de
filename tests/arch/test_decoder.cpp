#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "arch/helpers.h"
#include "assay/arch/transformer/decoder/mask.h"
#include "assay/ops/banded_product/banded_product.h"
#include "assay/train/step.h"

using namespace assay;
namespace decoder = arch::decoder;
using testing::ids;
using Options = std::vector<std::pair<std::string, core::Value>>;

namespace {

constexpr int64_t kVocab = 11, kLength = 6;

core::Value tiny(const Options& options) {
  core::Value v = core::Value::object();
  v["n_layer"] = 2;
  v["n_head"] = 2;
  v["n_embd"] = 8;
  for (const auto& [name, value] : options) v[name] = value;
  return v;
}

arch::Built build(const Options& options, at::ScalarType dtype = at::kDouble) {
  arch::BuildOptions o;
  o.dtype = dtype;
  return arch::build(arch::find_architecture("gpt2"), tiny(options), {kVocab, kLength}, o);
}

// Every parameter moved at random, so that nothing hides behind a zero or a one.
arch::Built perturbed(const Options& options) {
  arch::Built b = build(options);
  const at::NoGradGuard no_grad;
  for (const auto& e : b.params->entries()) {
    const core::Stream stream(17, e.name);
    double* p = b.params->view(b.params->values(), e).data_ptr<double>();
    for (int64_t i = 0; i < e.numel; ++i) p[i] += 0.3 * stream.normal(static_cast<uint64_t>(i));
  }
  return b;
}

train::Batch batch_of(int64_t number) {
  const auto u = [=](int64_t r, int64_t t) { return (7 * r + 5 * t + t * t + 3 * number) % kVocab; };
  return {ids(2, kLength, u), ids(2, kLength, [&](int64_t r, int64_t t) { return (3 * u(r, t) + 1) % kVocab; })};
}

double loss_of(const arch::Built& b) {
  const train::Batch batch = batch_of(0);
  return b.model->loss(b.model->forward(batch.ids_BT), batch.targets_BT).item().toDouble();
}

double gradient_entry(const arch::Built& b, const tensor::Params::Entry& e, int64_t i) {
  return b.params->view(b.params->grads(), e).contiguous().view({-1})[i].item().toDouble();
}

const tensor::Params::Entry& entry(const arch::Built& b, const std::string& name) {
  const auto* found = b.params->find(name);
  REQUIRE_MESSAGE(found != nullptr, name);
  return *found;
}

void train_for(int64_t updates, const arch::Built& b) {
  optim::OptimConfig config;
  config.name = "adamw";
  config.lr = 0.01;
  const auto optimizer = optim::make_optimizer(*b.params, config);
  for (int64_t n = 0; n < updates; ++n) {
    const train::Batch batch = batch_of(n);
    train::training_step(b, *optimizer, {&batch, 1}, config.lr, config.clip, {n, updates});
  }
}

const std::vector<Options>& components() {
  static const std::vector<Options> all = {
      {},
      {{"norm", "rms"}},
      {{"position", "rotary"}},
      {{"position", "none"}},
      {{"n_kv_head", 1}},
      {{"qk_norm", true}},
      {{"mlp", "swiglu"}},
      {{"mlp", "relu2"}, {"mlp_hidden", 13}},
      {{"residual", "scaled"}, {"residual_init", true}},
      {{"residual", "gated"}},
      {{"residual", "parallel"}},
      {{"bias", false}},
      {{"tied", false}},
      {{"label_smoothing", 0.1}},
      {{"z_loss", 0.01}},
      {{"loss_first", 1}, {"loss_last", 3}},
      {{"band_fc1", 6}, {"band_fc2", 9}, {"init_rescale", "row_density"}, {"band_storage", "packed"}},
      {{"sort_window", 3}},
      {{"sort_window", 3}, {"sort_sim", "cos"}, {"sort_layers", core::Value::Array{core::Value(1)}}},
      {{"sort_window", 4}, {"sort_sim", "mean"}},
      {{"sort_window", 3}, {"sort_exclude_self", true}},
      {{"blend_window", 3}},
      {{"blend_window", 9}, {"blend_renorm", true}},
      {{"blend_window", 3}, {"blend_order", "before_pos"}},
      {{"token_shift", "embedding"}},
      {{"token_shift", "blocks"}, {"token_shift_learnt", true}},
      {{"previous_token", true}},
      {{"norm", "rms"},
       {"position", "rotary"},
       {"n_kv_head", 1},
       {"qk_norm", true},
       {"mlp", "swiglu"},
       {"tied", false},
       {"sort_window", 2}},
  };
  return all;
}

std::string text(const Options& options) { return core::to_json(tiny(options)); }

}  // namespace

TEST_CASE("every part's gradients are those of central differences in float64") {
  for (const Options& options : components()) {
    const arch::Built b = perturbed(options);
    const train::Batch batch = batch_of(0);
    train::accumulate_gradients(b, {&batch, 1});
    const double largest = b.params->grads().abs().max().item().toDouble();
    const at::NoGradGuard no_grad;
    for (const auto& e : b.params->entries())
      for (const int64_t i : {int64_t{0}, e.numel / 2}) {
        double* p = b.params->view(b.params->values(), e).data_ptr<double>() + i;
        const double start = *p, h = 1e-6;
        *p = start + h;
        const double up = loss_of(b);
        *p = start - h;
        const double down = loss_of(b);
        *p = start;
        INFO(text(options) << " " << e.name << " entry " << i);
        CHECK(gradient_entry(b, e, i) == doctest::Approx((up - down) / (2 * h)).epsilon(1e-6).scale(1 + largest));
      }
  }
}

TEST_CASE("no part lets a position see the future, and a prefix gives what it gives in the whole") {
  for (const Options& options : components()) {
    INFO(text(options));
    const at::NoGradGuard no_grad;
    const arch::Built b = perturbed(options);
    const Tensor u = batch_of(0).ids_BT;
    Tensor changed = u.clone();
    changed.narrow(1, 4, 2).add_(3).remainder_(kVocab);
    const Tensor whole = b.model->forward(u);
    CHECK(at::equal(whole.narrow(1, 0, 4), b.model->forward(changed).narrow(1, 0, 4)));
    CHECK(at::allclose(whole.narrow(1, 0, 2), b.model->forward(u.narrow(1, 0, 2)), 1e-10, 1e-10));
  }
}

TEST_CASE("the defaults are the published baseline: names, shapes and every initial value") {
  const arch::Built b = build({}, at::kFloat);
  std::vector<std::string> names;
  for (const auto& e : b.params->entries()) names.push_back(e.name);
  std::vector<std::string> want{"token_embedding.weight", "position_embedding.weight"};
  for (const std::string block : {"blocks.0.", "blocks.1."})
    for (const char* part : {"ln1", "attn.qkv", "attn.out", "ln2", "mlp.fc1", "mlp.fc2"})
      for (const char* kind : {".weight", ".bias"}) want.push_back(block + part + kind);
  want.insert(want.end(), {"ln_f.weight", "ln_f.bias"});
  CHECK(names == want);
  CHECK(entry(b, "blocks.0.attn.out.weight").init.a == 0.02);
  CHECK(entry(b, "blocks.0.mlp.fc2.bias").init.a == doctest::Approx(1 / std::sqrt(32.0)));
}

TEST_CASE("scalars of mixing rules learn at ten times the rate without decay, everything else plainly") {
  const arch::Built b = build({{"sort_window", 3}, {"blend_window", 2}, {"hebbian_window", 2}, {"hebbian_learnt", true}});
  for (const auto& e : b.params->entries()) {
    INFO(e.name);
    const bool mixing = e.name.find("sort.") != std::string::npos || e.name.starts_with("blend.") || e.name.starts_with("hebbian.");
    CHECK(e.treatment.lr_scale == (mixing ? 10 : 1));
    CHECK(e.treatment.decay_scale == (mixing ? 0 : 1));
  }
}

TEST_CASE("two rules for one place, a part without its place and impossible sizes are refused with the reason") {
  const std::vector<std::pair<Options, std::string>> refusals = {
      {{{"sort_window", 3}, {"token_shift", "blocks"}}, "two rules"},
      {{{"blend_window", 3}, {"token_shift", "embedding"}}, "two rules"},
      {{{"blend_window", 3}, {"previous_token", true}}, "two ways"},
      {{{"blend_window", 3}, {"blend_order", "before_pos"}, {"position", "rotary"}}, "has none"},
      {{{"band_fc1", 4}, {"mlp", "swiglu"}}, "swiglu"},
      {{{"band_fc1", 4}, {"band_control", "narrower"}, {"mlp_hidden", 9}}, "mlp_hidden"},
      {{{"band_fc1", 4}, {"band_storage", "packed"}, {"mask_at_init", false}}, "mask_at_init"},
      {{{"band_storage", "packed"}}, "band_fc1"},
      {{{"band_fc1", 4}, {"band_storage", "packed"}, {"band_control", "random"}}, "another shape"},
      {{{"n_head", 3}}, "does not divide"},
      {{{"n_kv_head", 3}}, "n_kv_head"},
      {{{"n_head", 8}, {"position", "rotary"}}, "pairs"},
      {{{"sort_window", 1}, {"sort_exclude_self", true}}, "leaves nothing"},
      {{{"sort_window", 3}, {"sort_exclude_self", true}, {"sort_alpha_grad", "shipped"}}, "shipped"},
      {{{"sort_window", 3}, {"sort_layers", core::Value::Array{core::Value(2)}}}, "block 2"},
      {{{"hebbian_window", 2}, {"hebbian_learnt", true}, {"hebbian_mode", "serial"}}, "jacobi"},
      {{{"hebbian_window", 2}, {"hebbian_pairs", "centre"}, {"hebbian_normalised", true}}, "no pairs"},
      {{{"loss_first", 4}, {"loss_last", 2}}, "lies before"},
  };
  for (const auto& refusal : refusals) {
    INFO(text(refusal.first));
    CHECK_THROWS_WITH_AS(build(refusal.first), doctest::Contains(refusal.second.c_str()), core::ConfigError);
  }
}

TEST_CASE("masked weights: dense in the first pass or never, zero from the first update on; a packed band trains the same") {
  const Options band{{"band_fc1", 6}, {"band_fc2", 9}};
  const auto with = [&](const Options& more) {
    Options all = band;
    all.insert(all.end(), more.begin(), more.end());
    return build(all);
  };
  const Tensor outside = 1 - decoder::mask_of({32, 8, 6}, "none", "");
  const auto leaked = [&](const arch::Built& b) {
    return (entry(b, "blocks.1.mlp.fc1.weight").value.detach() * outside).abs().sum().item().toDouble();
  };
  const arch::Built late = with({{"mask_at_init", false}}), early = with({});
  CHECK(leaked(late) > 0);
  CHECK(leaked(early) == 0);
  const arch::Built packed = with({{"band_storage", "packed"}});
  CHECK(packed.params->count() == early.params->count() - 2 * (2 * 8 * 32 - ops::Band{32, 8, 6}.count() - ops::Band{8, 32, 9}.count()));
  {
    const at::NoGradGuard no_grad;
    for (const auto& e : packed.params->entries()) {
      const Tensor whole = entry(early, e.name).value;
      const bool in_band = e.shape != entry(early, e.name).shape;
      const ops::Band band_of_it{whole.size(0), whole.dim() > 1 ? whole.size(1) : 1, e.name.find("fc1") != std::string::npos ? 6 : 9};
      Tensor(e.value).copy_(in_band ? whole.reshape({-1}).take(ops::band_positions(band_of_it)) : whole);
    }
  }
  for (const arch::Built* b : {&late, &early, &packed}) train_for(3, *b);
  CHECK(leaked(late) == 0);
  CHECK(leaked(early) == 0);
  CHECK(loss_of(packed) == doctest::Approx(loss_of(early)).epsilon(1e-10));
}

TEST_CASE("controls of the band: a narrower dense MLP of as many weights, a band that is wider than the matrix is dense") {
  const arch::Built banded = build({{"band_fc1", 8}, {"band_fc2", 8}, {"band_storage", "packed"}, {"bias", false}});
  const arch::Built narrower = build({{"band_fc1", 8}, {"band_fc2", 8}, {"band_control", "narrower"}, {"bias", false}});
  const auto mlp_weights = [](const arch::Built& b) {
    return entry(b, "blocks.0.mlp.fc1.weight").numel + entry(b, "blocks.0.mlp.fc2.weight").numel;
  };
  CHECK(std::abs(mlp_weights(banded) - mlp_weights(narrower)) <= 8);
  const arch::Built dense = build({}), wide = build({{"band_fc1", 62}, {"band_fc2", 1000}});
  CHECK(loss_of(wide) == loss_of(dense));
  const auto flops = [](const Options& options) {
    const auto& gpt2 = arch::find_architecture("gpt2");
    return gpt2.cost(arch::complete_config(gpt2, tiny(options)), {kVocab, kLength}).forward_flops;
  };
  CHECK(flops({{"band_fc1", 62}, {"band_fc2", 1000}}) == flops({}));
  CHECK(flops({{"band_fc1", 8}}) < flops({}));
}

TEST_CASE("the Hebbian pull moves the embedding before the pass; a learnt strength gets the derivative of the loss by it") {
  const Options pull{{"hebbian_window", 3}, {"hebbian_eps", 0.02}, {"hebbian_learnt", true}};
  const arch::Built b = build(pull), plain = build({});
  const train::Batch batch = batch_of(0);
  const auto loss_at = [&](double strength) {
    const at::NoGradGuard no_grad;
    Tensor(entry(b, "token_embedding.weight").value).copy_(entry(plain, "token_embedding.weight").value);
    Tensor(entry(b, "hebbian.strength").value).fill_(strength);
    b.model->before_update({0, 10}, batch.ids_BT);
    return loss_of(b);
  };
  CHECK(loss_at(0) == doctest::Approx(loss_of(plain)).epsilon(1e-12));
  CHECK(loss_at(1) != doctest::Approx(loss_of(plain)).epsilon(1e-9));
  const double up = loss_at(1 + 1e-5), down = loss_at(1 - 1e-5);
  loss_at(1);
  train::accumulate_gradients(b, {&batch, 1});
  const at::NoGradGuard no_grad;
  b.model->adjust_gradients();
  CHECK(entry(b, "hebbian.strength").value.grad().item().toDouble() == doctest::Approx((up - down) / 2e-5).epsilon(1e-5));
}

TEST_CASE("label smoothing and z-loss are what their equations say") {
  const arch::Built plain = perturbed({}), smooth = perturbed({{"label_smoothing", 0.2}, {"z_loss", 0.1}});
  const train::Batch batch = batch_of(0);
  const Tensor logits = plain.model->forward(batch.ids_BT);
  double want = 0;
  for (int64_t r = 0; r < 2; ++r)
    for (int64_t t = 0; t < kLength; ++t) {
      double sum = 0, mean = 0;
      for (int64_t v = 0; v < kVocab; ++v) {
        sum += std::exp(logits[r][t][v].item().toDouble());
        mean += logits[r][t][v].item().toDouble() / static_cast<double>(kVocab);
      }
      const double target = logits[r][t][batch.targets_BT[r][t].item().toLong()].item().toDouble(), lse = std::log(sum);
      want += 0.8 * (lse - target) + 0.2 * (lse - mean) + 0.1 * lse * lse;
    }
  CHECK(loss_of(smooth) == doctest::Approx(want / (2 * kLength)).epsilon(1e-10));
}

TEST_CASE("grouped queries: one head of keys for all is the model whose heads have equal keys and values") {
  const at::NoGradGuard no_grad;
  const arch::Built grouped = perturbed({{"n_kv_head", 1}}), full = perturbed({});
  for (const auto& e : full.params->entries()) {
    Tensor to = full.params->view(full.params->values(), e);
    const Tensor from = entry(grouped, e.name).value;
    if (from.size(0) == to.size(0)) {
      to.copy_(from);
      continue;
    }
    to.narrow(0, 0, 8).copy_(from.narrow(0, 0, 8));
    for (const int64_t head : {0, 1}) {
      to.narrow(0, 8 + 4 * head, 4).copy_(from.narrow(0, 8, 4));
      to.narrow(0, 16 + 4 * head, 4).copy_(from.narrow(0, 12, 4));
    }
  }
  CHECK(loss_of(grouped) == doctest::Approx(loss_of(full)).epsilon(1e-12));
}

TEST_CASE("rotary positions: scores depend on distances alone") {
  // With one block and no position vectors, a row that repeats one token gives every position the same logits.
  const at::NoGradGuard no_grad;
  const arch::Built b = perturbed({{"position", "rotary"}, {"n_layer", 1}}), other = perturbed({{"position", "none"}, {"n_layer", 1}});
  const Tensor same = ids(1, kLength, [](int64_t, int64_t) { return 3; });
  for (const arch::Built* m : {&b, &other}) {
    const Tensor logits = m->model->forward(same);
    CHECK(at::allclose(logits.select(1, 0), logits.select(1, 5), 1e-10, 1e-10));
  }
  const Tensor u = batch_of(0).ids_BT;
  CHECK_FALSE(at::allclose(b.model->forward(u), other.model->forward(u), 1e-3, 1e-3));
}
