#include "assay/bench/bench.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "assay/bench/random_rows.h"
#include "assay/bench/stopwatch.h"
#include "assay/bench/time_calls.h"
#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/tensor/device.h"
#include "assay/train/memory.h"
#include "assay/train/static_step.h"

namespace assay::bench {
namespace {

using core::Value;

Value timing(const Timing& t) {
  Value v = Value::object();
  v["median"] = t.median_ms;
  v["spread"] = t.spread();
  return v;
}

}  // namespace

Timing summarize(std::vector<double> ms) {
  if (ms.empty()) throw std::logic_error("bench: nothing was timed, so there is no median");
  std::sort(ms.begin(), ms.end());
  const auto at_share = [&](double share) { return ms[static_cast<size_t>(std::lround(share * static_cast<double>(ms.size() - 1)))]; };
  Timing t{.median_ms = at_share(0.5), .samples = static_cast<int64_t>(ms.size())};
  if (ms.size() >= 3) t.spread_ms = 0.5 * (at_share(0.75) - at_share(0.25));
  return t;
}

UpdateGroups update_groups(const BenchOptions& options, bool cuda) {
  const int64_t together = cuda ? 5 : 1;
  return {together, (options.warmup + together - 1) / together, options.steps};
}

void require_green(const arch::Built& built, const train::Batch& batch) {
  const double loss = train::accumulate_gradients(built, {&batch, 1});
  const Tensor first = built.params->grads().clone();
  const double again = train::accumulate_gradients(built, {&batch, 1});
  if (!std::isfinite(loss) || !at::isfinite(first).all().item().toBool())
    throw core::NumericsError("bench", "loss or gradients are not finite; a wrong result has no speed");
  if (loss != again || !at::equal(first, built.params->grads()))
    throw core::NumericsError("bench", "two passes over the same batch differ; a result that does not repeat has no speed");
}

core::Value bench(train::RunConfig& config, const BenchOptions& options) {
  config.check();
  const train::Machine machine = train::prepare_machine(config.train);
  const Value model = config.model_options();
  const int64_t vocab = vocabulary_of(config);
  const arch::Built built = train::build_model(config, machine, vocab);
  train::require_memory(train::predict_memory(config, built.params->count(), vocab), tensor::free_bytes(machine.device));
  const auto optimizer = optim::make_optimizer(*built.params, config.optim);
  std::vector<data::Rows> rows;
  std::vector<train::Batch> batches;
  for (uint64_t i = 0; i < 4; ++i) {
    rows.push_back(random_rows(config.rows(), config.train.seq_len, vocab, i));
    batches.push_back(train::to_batch(rows.back(), machine.device));
  }
  require_green(built, batches[0]);
  const tensor::Precision precision = tensor::precision_from(config.train.precision);
  // What the product reaches depends on what else the machine does, from second to second, as the updates' time does: so before and after them. On
  // a GPU after them alone, for its operands would be the peak of memory.
  const double rate_before = machine.device.is_cuda() ? 0 : product_rate(machine.device, precision);

  // Whole updates first, as training runs them; then the same with a wait after each phase, which costs a GPU its run-ahead.
  std::vector<double> total, forward, backward, update;
  Stopwatch watch(machine.device);
  train::StaticStep step(
      built, *optimizer,
      {config.rows(), config.train.seq_len, 1, config.optim.clip, train::nonfinite_from(config.train.nonfinite), config.train.capture});
  const UpdateGroups groups = update_groups(options, machine.device.is_cuda());
  core::Progress progress(std::string(config.architecture->name), groups.warmup + groups.samples);
  int64_t n = 0;
  for (int64_t group = 0; group < groups.warmup + groups.samples; ++group) {
    progress.update(group, "timing updates");
    watch.restart();
    for (int64_t i = 0; i < groups.together; ++i, ++n)
      step.run({&rows[static_cast<size_t>(n) % rows.size()], 1}, config.optim.lr, {n}, {.training = true, .batch = n});
    const double ms = watch.lap_ms() / static_cast<double>(groups.together);
    for (const train::StaticStep::Result& r : step.collect())
      if (!r.applied)
        throw core::NumericsError("bench", "update " + std::to_string(r.number) + " is not finite; an update that fails has no speed");
    if (group >= groups.warmup) total.push_back(ms);
  }
  progress.update(groups.warmup + groups.samples, "done");
  const int64_t peak = tensor::peak_bytes(machine.device);  // before what only this command does: phases apart, a product of its own
  for (int64_t i = 0; i < std::min<int64_t>(options.steps, 5); ++i) {
    const train::Batch& b = batches[static_cast<size_t>(i) % batches.size()];
    watch.restart();
    built.params->grads().zero_();
    const Tensor loss = built.model->training_loss(b.ids_BT, b.targets_BT);
    forward.push_back(watch.lap_ms());
    torch::autograd::backward({loss}, {});
    backward.push_back(watch.lap_ms());
    optim::clip_gradient(built.params->grads(), config.optim.clip);
    optimizer->update(config.optim.lr);
    update.push_back(watch.lap_ms());
  }
  const Timing whole = summarize(total);
  const double tokens = static_cast<double>(config.rows() * config.train.seq_len);
  const double flops = config.architecture->cost(model, {vocab, config.train.seq_len}).training_flops;
  const double rate = std::max(rate_before, product_rate(machine.device, precision)), gflops = flops * tokens / 1e6 / whole.median_ms;
  Value v = Value::object();
  v["name"] = config.architecture->name;
  v["device"] = config.train.device;
  v["dtype"] = config.train.precision;
  v["tokens_per_s"] = tokens / whole.median_ms * 1e3;
  v["ms"] = whole.median_ms;
  v["spread_ms"] = whole.spread();
  v["samples"] = whole.samples;
  v["captured"] = step.captured();
  v["phases"] = Value::object();
  v["phases"]["forward_ms"] = timing(summarize(forward));
  v["phases"]["backward_ms"] = timing(summarize(backward));
  v["phases"]["optimizer_ms"] = timing(summarize(update));
  v["peak_bytes"] = peak;
  v["flops_per_token"] = flops;
  v["gflops"] = gflops;
  v["product_gflops"] = rate;
  v["floor_fraction"] = gflops / rate;
  v["batch"] = config.rows();
  v["seq_len"] = config.train.seq_len;
  v["vocab_size"] = vocab;
  v["parameters"] = built.params->count();
  v["threads"] = machine.threads;
  v["product_backend"] = machine.product;
  return v;
}

}  // namespace assay::bench
