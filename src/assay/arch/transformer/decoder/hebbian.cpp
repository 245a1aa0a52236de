#include "assay/arch/transformer/decoder/hebbian.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "assay/arch/transformer/decoder/component.h"
#include "assay/core/random.h"

namespace assay::arch::decoder {
namespace {

struct Pair {
  int64_t u, v;
  double strength;  // eps / k
};

double harmonic(int64_t W) {
  double sum = 0;
  for (int64_t k = 1; k <= W; ++k) sum += 1 / static_cast<double>(k);
  return sum;
}

std::vector<int64_t> numbers(const Tensor& ids_BT) {
  const Tensor flat = ids_BT.to(at::kCPU).contiguous();
  const int64_t* p = flat.const_data_ptr<int64_t>();
  return {p, p + flat.numel()};
}

// In the order of the published loops: rows, positions, distances.
std::vector<Pair> pairs_of(const HebbianConfig& c, double eps, const Tensor& ids_BT, int64_t number) {
  const std::vector<int64_t> ids = numbers(ids_BT);
  std::vector<int64_t> others = ids;
  if (c.hebbian_pairs == "shuffled") {
    const core::Permutation order(ids.size(), 0, "hebbian/shuffled", static_cast<uint64_t>(number));
    for (size_t i = 0; i < ids.size(); ++i) others[i] = ids[order(i)];
  }
  const int64_t T = ids_BT.size(1);
  std::vector<Pair> pairs;
  for (int64_t row = 0; row < ids_BT.size(0); ++row)
    for (int64_t t = 0; t < T; ++t)
      for (int64_t k = 1; k <= std::min(c.hebbian_window, t); ++k) {
        const int64_t u = ids[static_cast<size_t>(row * T + t)], v = others[static_cast<size_t>(row * T + t - k)];
        if (u != v) pairs.push_back({u, v, eps / static_cast<double>(k)});
      }
  return pairs;
}

// 1, or 1 / (pairs that a token is in).
std::vector<double> weights_of(const HebbianConfig& c, const std::vector<Pair>& pairs, int64_t vocab) {
  std::vector<double> weight(static_cast<size_t>(vocab), 1);
  if (!c.hebbian_normalised) return weight;
  std::vector<int64_t> count(weight.size());
  for (const Pair& p : pairs) {
    ++count[static_cast<size_t>(p.u)];
    ++count[static_cast<size_t>(p.v)];
  }
  for (size_t i = 0; i < weight.size(); ++i)
    if (count[i] > 0) weight[i] = 1 / static_cast<double>(count[i]);
  return weight;
}

// Each channel goes through all pairs by itself: `from` is the table that differences are taken of, `to` the one that moves.
template <class T>
void pull_pairs(const std::vector<Pair>& pairs, const std::vector<double>& weight, const T* from, T* to, int64_t channels) {
  at::parallel_for(0, channels, 16, [&](int64_t begin, int64_t end) {
    for (const Pair& p : pairs) {
      const T at_u = static_cast<T>(p.strength * weight[static_cast<size_t>(p.u)]),
              at_v = static_cast<T>(p.strength * weight[static_cast<size_t>(p.v)]);
      for (int64_t i = begin; i < end; ++i) {
        const T apart = from[p.v * channels + i] - from[p.u * channels + i];
        to[p.u * channels + i] += at_u * apart;
        to[p.v * channels + i] -= at_v * apart;
      }
    }
  });
}

template <class T>
void pull_to_centre(double strength, const std::vector<int64_t>& ids, T* table, int64_t vocab, int64_t channels) {
  std::vector<int64_t> count(static_cast<size_t>(vocab));
  for (const int64_t id : ids) ++count[static_cast<size_t>(id)];
  for (int64_t i = 0; i < channels; ++i) {
    double mean = 0;
    for (int64_t v = 0; v < vocab; ++v)
      mean += static_cast<double>(count[static_cast<size_t>(v)]) * static_cast<double>(table[v * channels + i]);
    mean /= static_cast<double>(ids.size());
    for (int64_t v = 0; v < vocab; ++v)
      table[v * channels + i] += static_cast<T>(strength * static_cast<double>(count[static_cast<size_t>(v)]) *
                                                (mean - static_cast<double>(table[v * channels + i])));
  }
}

template <class T>
Tensor pulled(const HebbianConfig& c, double eps, const Tensor& E_VC, const Tensor& ids_BT, int64_t number) {
  const Tensor from = E_VC.detach().to(at::kCPU).contiguous(), to = from.clone();
  const int64_t vocab = from.size(0), channels = from.size(1);
  if (c.hebbian_pairs == "centre") {
    pull_to_centre(2 * eps * harmonic(c.hebbian_window), numbers(ids_BT), to.mutable_data_ptr<T>(), vocab, channels);
  } else {
    const std::vector<Pair> pairs = pairs_of(c, eps, ids_BT, number);
    T* table = to.mutable_data_ptr<T>();
    pull_pairs<T>(pairs, weights_of(c, pairs, vocab), c.hebbian_mode == "serial" ? table : from.const_data_ptr<T>(), table, channels);
  }
  return to.to(E_VC.device());
}

}  // namespace

const core::Schema& HebbianConfig::schema() {
  using core::option;
  static const core::Schema s = core::declare<HebbianConfig>(
      "model",
      {
          option("hebbian_window", &HebbianConfig::hebbian_window, "Hebbian pull of the embedding: distances 1 to W; 0 = none", 0, 1 << 20),
          option("hebbian_eps", &HebbianConfig::hebbian_eps, "its strength", 0, 1),
          option("hebbian_mode", &HebbianConfig::hebbian_mode, "all moves from one state, or each from the one before")
              .one_of({"jacobi", "serial"}),
          option("hebbian_pairs", &HebbianConfig::hebbian_pairs, "who pulls whom; shuffled and centre are controls of equal strength")
              .one_of({"neighbours", "shuffled", "centre"}),
          option("hebbian_schedule", &HebbianConfig::hebbian_schedule, "strength over the run: linear and cosine fall to zero")
              .one_of({"constant", "linear", "cosine"}),
          option("hebbian_normalised", &HebbianConfig::hebbian_normalised,
                 "a token's moves are divided by the number of its pairs in the batch"),
          option("hebbian_learnt", &HebbianConfig::hebbian_learnt, "a learnt factor on the pull, 1 at the start"),
      });
  return s;
}

void HebbianConfig::check() const {
  if (!on()) return;
  if (hebbian_learnt && hebbian_mode == "serial")
    refuse("hebbian_learnt scales one move of all pairs; hebbian_mode=serial makes many small ones: use jacobi");
  if (hebbian_pairs == "centre" && (hebbian_mode == "serial" || hebbian_normalised))
    refuse("hebbian_pairs=centre has no pairs, so hebbian_mode=serial and hebbian_normalised mean nothing there");
}

double HebbianConfig::macs(double width, double T) const { return 2 * std::min(static_cast<double>(hebbian_window), T) * width; }

Tensor hebbian_pulled(const HebbianConfig& c, double eps, const Tensor& E_VC, const Tensor& ids_BT, int64_t number) {
  return E_VC.scalar_type() == at::kDouble ? pulled<double>(c, eps, E_VC, ids_BT, number) : pulled<float>(c, eps, E_VC, ids_BT, number);
}

// A run that is limited by time alone has no last update to fall towards.
double hebbian_eps_at(const HebbianConfig& c, const Update& update) {
  if (c.hebbian_schedule == "constant" || update.total <= 0) return c.hebbian_eps;
  const double done = std::min(1.0, static_cast<double>(update.number) / static_cast<double>(update.total));
  return c.hebbian_eps * (c.hebbian_schedule == "linear" ? 1 - done : 0.5 * (1 + std::cos(std::numbers::pi * done)));
}

Hebbian::Hebbian(const HebbianConfig& c, const Builder& b, const Tensor& E_VC) : config_(c), E_VC_(E_VC) {
  if (c.hebbian_learnt) strength_ = b.mixing_scalar("hebbian.strength", 1);
}

void Hebbian::pull(const Update& update, const Tensor& ids_BT) {
  const Tensor pulled = hebbian_pulled(config_, hebbian_eps_at(config_, update), E_VC_, ids_BT, update.number);
  if (!strength_.defined()) {
    E_VC_.copy_(pulled);
    return;
  }
  moved_VC_ = pulled - E_VC_;
  E_VC_.add_(strength_ * moved_VC_);
}

void Hebbian::adjust_gradient() {
  if (!strength_.defined() || !moved_VC_.defined()) return;
  strength_.mutable_grad().copy_((E_VC_.grad() * moved_VC_).sum());
  moved_VC_.reset();
}

namespace {
constexpr Control hebbian_controls[] = {
    {"hebbian_window=4 hebbian_pairs=shuffled", "the same pull between tokens that do not stand together"},
    {"hebbian_window=4 hebbian_pairs=centre", "a decay towards the batch's mean of equal strength"},
    {"hebbian_window=4 hebbian_schedule=cosine", "whether a pull that ends before the run does leaves anything"},
    {"hebbian_window=4 tied=false", "the pull on the input table alone: the logits do not move with it"},
    {"hebbian_window=4 hebbian_learnt=true", "a strength that descent can switch off"},
    {"hebbian_window=4 hebbian_mode=serial", "each move from the one before: the other end of what racing threads do"},
};
}  // namespace
extern const Component component_hebbian;
constinit const Component component_hebbian{
    .name = "hebbian",
    .summary = "vectors of tokens that stand near each other are pulled together before each batch",
    .place = "the embedding E, in place, in training only; where it is tied the logits move too",
    .on = "hebbian_window=4",
    .options = "hebbian_window hebbian_eps hebbian_mode hebbian_pairs hebbian_schedule hebbian_normalised hebbian_learnt",
    .equations = "for every row, t, k = 1 .. min(W, t), u = token_t, v = token_{t-k}, u != v:\n"
                 "  delta = (eps / k) (E_v - E_u);  E_u += delta;  E_v -= delta\n"
                 "a token that occurs n times in a batch contracts by about 2 n eps H_W an update, H_W = 1 + 1/2 + ... + 1/W",
    .cost = "2 W C multiply-adds a training token, on the CPU; nothing in evaluation. No gradient",
    .source = "KintaroAI, experiments 18 and 19",
    .claim = "worse by 0.066 and 0.037 nats; W = 8 better by 0.07 to 0.09 after 2500 steps",
    .trust = "single runs with racing updates and without a warm-up; repeats at that stage differ by 0.2 to 0.3. H_8 and H_9 differ by 4 % "
             "while the\n"
             "published loss jumps by 0.43 between them: no mechanism makes W = 8 special. In the model of four layers it is worse",
    .controls = hebbian_controls,
};

}  // namespace assay::arch::decoder
