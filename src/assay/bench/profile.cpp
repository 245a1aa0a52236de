#include "assay/bench/profile.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <map>

#include "assay/bench/random_rows.h"
#include "assay/core/error.h"
#include "assay/tensor/device.h"
#include "assay/train/step.h"

namespace assay::bench {
namespace {

using core::Value;
using torch::autograd::profiler::KinetoEvent;

struct Cost {
  int64_t calls = 0;
  double ns = 0;
};
using Costs = std::map<std::string, Cost>;

Costs of_kernels(const std::vector<KinetoEvent>& events) {
  Costs costs;
  for (const KinetoEvent& e : events) {
    if (e.deviceType() == c10::DeviceType::CPU || e.durationNs() == 0) continue;
    Cost& c = costs[e.name()];
    ++c.calls;
    c.ns += static_cast<double>(e.durationNs());
  }
  return costs;
}

// An operator's own time is its duration without that of the operators it calls, which lie within it on the same thread.
Costs of_operators(const std::vector<KinetoEvent>& events) {
  std::vector<const KinetoEvent*> sorted;
  for (const KinetoEvent& e : events)
    if (e.deviceType() == c10::DeviceType::CPU && e.endNs() > e.startNs()) sorted.push_back(&e);
  std::sort(sorted.begin(), sorted.end(), [](const KinetoEvent* a, const KinetoEvent* b) {
    if (a->startThreadId() != b->startThreadId()) return a->startThreadId() < b->startThreadId();
    if (a->startNs() != b->startNs()) return a->startNs() < b->startNs();
    return a->endNs() > b->endNs();
  });
  Costs costs;
  std::vector<const KinetoEvent*> around;
  for (const KinetoEvent* e : sorted) {
    while (!around.empty() && (around.back()->startThreadId() != e->startThreadId() || around.back()->endNs() <= e->startNs()))
      around.pop_back();
    const auto length = static_cast<double>(e->endNs() - e->startNs());
    if (!around.empty()) costs[around.back()->name()].ns -= length;
    Cost& c = costs[e->name()];
    ++c.calls;
    c.ns += length;
    around.push_back(e);
  }
  return costs;
}

Value entries_of(const Costs& costs, double steps, double* total_ms) {
  std::vector<std::pair<std::string, Cost>> sorted(costs.begin(), costs.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second.ns > b.second.ns; });
  double total = 0;
  for (const auto& entry : sorted) total += entry.second.ns;
  Value list = Value::array();
  for (const auto& [name, cost] : sorted) {
    Value v = Value::object();
    v["name"] = name;
    v["calls"] = static_cast<double>(cost.calls) / steps;
    v["ms"] = cost.ns / 1e6 / steps;
    v["share"] = total > 0 ? cost.ns / total : 0;
    list.push_back(v);
  }
  *total_ms = total / 1e6 / steps;
  return list;
}

}  // namespace

Value profile(train::RunConfig& config, const ProfileOptions& options) {
  namespace kineto = torch::autograd::profiler;
  namespace api = torch::profiler::impl;
  if (options.steps < 1) throw core::ConfigError("bench", "--profile wants at least one step");
  config.check();
  const train::Machine machine = train::prepare_machine(config.train);
  const int64_t vocab = vocabulary_of(config);
  const arch::Built built = train::build_model(config, machine, vocab);
  const auto optimizer = optim::make_optimizer(*built.params, config.optim);
  const train::Batch batch = train::to_batch(random_rows(config.rows(), config.train.seq_len, vocab, 0), machine.device);
  const auto update = [&] {
    built.params->grads().zero_();
    torch::autograd::backward({built.model->training_loss(batch.ids_BT, batch.targets_BT)}, {});
    optim::clip_gradient(built.params->grads(), config.optim.clip);
    optimizer->update(config.optim.lr);
  };
  for (int i = 0; i < 3; ++i) update();
  tensor::synchronize(machine.device);
  const bool cuda = machine.device.is_cuda();
  std::set<api::ActivityType> activities{api::ActivityType::CPU};
  if (cuda) activities.insert(api::ActivityType::CUDA);
  const api::ProfilerConfig wanted(api::ProfilerState::KINETO);
  kineto::prepareProfiler(wanted, activities);
  kineto::enableProfiler(wanted, activities);
  for (int64_t i = 0; i < options.steps; ++i) update();
  tensor::synchronize(machine.device);
  const auto result = kineto::disableProfiler();
  if (!options.trace.empty()) result->save(options.trace);
  Value v = Value::object();
  v["name"] = config.architecture->name;
  v["device"] = config.train.device;
  v["dtype"] = config.train.precision;
  v["batch"] = config.rows();
  v["seq_len"] = config.train.seq_len;
  v["vocab_size"] = vocab;
  v["steps"] = options.steps;
  double ms = 0;
  const Value entries =
      entries_of(cuda ? of_kernels(result->events()) : of_operators(result->events()), static_cast<double>(options.steps), &ms);
  v["ms"] = ms;
  v["entries"] = entries;
  return v;
}

}  // namespace assay::bench
