#include "assay/inspect/generate.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "assay/core/error.h"
#include "assay/core/random.h"

namespace assay::inspect {
namespace {

// The logits behind the last of the tokens, for one more at each call: from the memory of a recurrent model, else from the last `context` tokens
// anew.
class Reader {
 public:
  Reader(const arch::Built& built, int64_t context) : built_(built), context_(context) {}

  std::vector<double> operator()(const std::vector<uint16_t>& tokens) {
    const Tensor logits_V = (built_.model->recurrent() ? going_on(tokens) : anew(tokens)).cpu().to(at::kDouble).contiguous();
    return {logits_V.data_ptr<double>(), logits_V.data_ptr<double>() + logits_V.numel()};
  }

 private:
  Tensor ids(const uint16_t* first, int64_t n) const {
    Tensor t = at::empty({1, n}, at::TensorOptions().dtype(at::kLong));
    std::copy(first, first + n, t.data_ptr<int64_t>());
    return t.to(built_.params->device());
  }
  Tensor going_on(const std::vector<uint16_t>& tokens) {
    Tensor logits_1V;
    while (memory_.position < static_cast<int64_t>(tokens.size()))
      logits_1V = built_.model->next(ids(tokens.data() + memory_.position, 1).select(1, 0), memory_);
    return logits_1V.select(0, 0);
  }
  Tensor anew(const std::vector<uint16_t>& tokens) const {
    const auto n = std::min<int64_t>(context_, static_cast<int64_t>(tokens.size()));
    return built_.model->forward(ids(tokens.data() + tokens.size() - n, n)).select(1, n - 1).select(0, 0);
  }

  const arch::Built& built_;
  int64_t context_;
  arch::Memory memory_;
};

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
  Reader last_logits(built, context);
  for (int64_t i = 0; i < sampling.tokens; ++i) {
    std::vector<double> logits = last_logits(prompt);
    if (sampling.vocab > 0) logits.resize(std::min(logits.size(), static_cast<size_t>(sampling.vocab)));
    const auto next = static_cast<uint16_t>(sample(logits, sampling, stream.uniform(static_cast<uint64_t>(i))));
    prompt.push_back(next);
    each(next);
  }
  return prompt;
}

}  // namespace assay::inspect
