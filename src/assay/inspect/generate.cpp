#include "assay/inspect/generate.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "assay/core/error.h"
#include "assay/core/random.h"

namespace assay::inspect {
namespace {

std::vector<double> last_logits(const arch::Built& built, const std::vector<uint16_t>& tokens, int64_t context) {
  const auto n = std::min<int64_t>(context, static_cast<int64_t>(tokens.size()));
  Tensor ids = at::empty({1, n}, at::TensorOptions().dtype(at::kLong));
  std::copy(tokens.end() - n, tokens.end(), ids.data_ptr<int64_t>());
  const Tensor logits =
      built.model->forward(ids.to(built.params->device())).select(1, n - 1).select(0, 0).cpu().to(at::kDouble).contiguous();
  return {logits.data_ptr<double>(), logits.data_ptr<double>() + logits.numel()};
}

}  // namespace

int64_t sample(const std::vector<double>& logits, const Sampling& s, double u) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  if (s.temperature == 0) return static_cast<int64_t>(order[0]);
  if (s.top_k > 0 && static_cast<size_t>(s.top_k) < order.size()) order.resize(static_cast<size_t>(s.top_k));
  std::vector<double> p;
  for (size_t i : order) p.push_back(std::exp((logits[i] - logits[order[0]]) / s.temperature));
  double total = std::accumulate(p.begin(), p.end(), 0.0), kept = 0;
  size_t n = 0;
  while (n < p.size() && (n == 0 || kept < s.top_p * total)) kept += p[n++];
  double left = u * kept;
  for (size_t i = 0; i < n; ++i) {
    left -= p[i];
    if (left <= 0) return static_cast<int64_t>(order[i]);
  }
  return static_cast<int64_t>(order[n - 1]);
}

std::vector<uint16_t> generate(const arch::Built& built, std::vector<uint16_t> prompt, int64_t context, const Sampling& sampling,
                               const std::function<void(uint16_t)>& each) {
  const at::NoGradGuard no_grad;
  if (prompt.empty()) throw core::ConfigError("generate", "the prompt has no token; wanted at least one");
  const core::Stream stream(sampling.seed, "sample");
  for (int64_t i = 0; i < sampling.tokens; ++i) {
    const auto next =
        static_cast<uint16_t>(sample(last_logits(built, prompt, context), sampling, stream.uniform(static_cast<uint64_t>(i))));
    prompt.push_back(next);
    each(next);
  }
  return prompt;
}

}  // namespace assay::inspect
