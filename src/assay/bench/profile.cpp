#include "assay/bench/profile.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/profiler_kineto.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>

#include "assay/bench/call_counter.h"
#include "assay/bench/random_rows.h"
#include "assay/bench/stopwatch.h"
#include "assay/bench/time_calls.h"
#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/log.h"
#include "assay/tensor/device.h"
#include "assay/train/memory.h"
#include "assay/train/step.h"

namespace assay::bench {
namespace {

using core::Value;
namespace kineto = torch::autograd::profiler;
using kineto::KinetoEvent;

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

Value entries_of(const Costs& costs, const WorkByName& work, double steps, double* total_ms) {
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
    const auto counted = work.find(name);
    v["flops"] = counted == work.end() ? Value() : Value(counted->second.flops);
    v["bytes"] = counted == work.end() ? Value() : Value(counted->second.bytes);
    list.push_back(v);
  }
  *total_ms = total / 1e6 / steps;
  return list;
}

// The phases of an update, run one after another.
struct Phase {
  const char* name;
  std::function<void()> run;
};

struct Ceilings {
  double copy_gb_per_s, product_gflops;
};

Value phase_row(const char* name, const Timing& t, const Work& w, const Ceilings& c) {
  const double floor_ms = std::max(w.flops / c.product_gflops, w.bytes / c.copy_gb_per_s) / 1e6;
  Value v = Value::object();
  v["name"] = name;
  v["ms"] = t.median_ms;
  v["spread_ms"] = t.spread();
  v["flops"] = w.flops;
  v["bytes"] = w.bytes;
  v["gflops"] = w.flops / t.median_ms / 1e6;
  v["gb_per_s"] = w.bytes / t.median_ms / 1e6;
  v["flops_per_byte"] = w.bytes > 0 ? Value(w.flops / w.bytes) : Value();
  v["floor_ms"] = floor_ms;
  v["floor_fraction"] = floor_ms / t.median_ms;
  return v;
}

// The library tells no one that it could not write, and goes by a name of its own on the way.
void save_trace(kineto::ProfilerResult& result, const std::string& path) {
  const std::string beside = path + ".tmp-" + std::to_string(::getpid());
  result.save(beside);
  core::FileSystem& fs = core::real_files();
  if (!core::file_exists(beside) || core::file_size(beside) == 0) {
    for (const std::string& left : {beside, beside + ".tmp"}) fs.remove_all(left);
    throw core::ResourceError("bench", "--trace: " + path + " cannot be written");
  }
  try {
    fs.rename(beside, path);
  } catch (const core::Error&) {
    fs.remove_all(beside);
    throw core::ResourceError("bench", "--trace: " + path + " cannot be written");
  }
}

}  // namespace

Value profile(train::RunConfig& config, const ProfileOptions& options) {
  namespace api = torch::profiler::impl;
  if (options.steps < 1) throw core::ConfigError("bench", "--profile wants at least one step");
  config.check();
  const train::Machine machine = train::prepare_machine(config.train);
  const int64_t vocab = vocabulary_of(config);
  const arch::Built built = train::build_model(config, machine, vocab);
  train::require_memory(train::predict_memory(config, built.params->count(), vocab), tensor::free_bytes(machine.device));
  const auto optimizer = optim::make_optimizer(*built.params, config.optim);
  const train::Batch batch = train::to_batch(random_rows(config.rows(), config.train.seq_len, vocab, 0), machine.device);
  Tensor loss;
  const std::array phases{Phase{"forward",
                                [&] {
                                  built.params->grads().zero_();
                                  loss = built.model->training_loss(batch.ids_BT, batch.targets_BT);
                                }},
                          Phase{"backward",
                                [&] {
                                  torch::autograd::backward({loss}, {});
                                  loss = Tensor();
                                }},
                          Phase{"optimizer", [&] {
                                  optim::clip_gradient(built.params->grads(), config.optim.clip);
                                  optimizer->update(config.optim.lr);
                                }}};
  const auto update = [&] {
    for (const Phase& p : phases) p.run();
  };
  require_green(built, batch);
  core::Progress progress(std::string(config.architecture->name), 2 * options.steps);
  for (int i = 0; i < 3; ++i) update();

  std::array<std::vector<double>, phases.size()> ms;
  Stopwatch watch(machine.device);
  for (int64_t n = 0; n < options.steps; ++n) {
    progress.update(n, "timing phases");
    watch.restart();
    for (size_t i = 0; i < phases.size(); ++i) {
      phases[i].run();
      ms[i].push_back(watch.lap_ms());
    }
  }
  std::array<Work, phases.size()> work;
  WorkByName by_name;
  {
    CallCounter counter;
    for (size_t i = 0; i < phases.size(); ++i) {
      phases[i].run();
      const WorkByName counted = counter.take();
      work[i] = sum_of(counted);
      for (const auto& [name, w] : counted) by_name[name].add(w);
    }
  }

  const bool cuda = machine.device.is_cuda();
  std::set<api::ActivityType> activities{api::ActivityType::CPU};
  if (cuda) activities.insert(api::ActivityType::CUDA);
  if (!cuda) ::setenv("KINETO_LOG_LEVEL", "99", 0);  // else it says on stderr that there is no GPU
  const api::ProfilerConfig wanted(api::ProfilerState::KINETO);
  tensor::synchronize(machine.device);
  kineto::prepareProfiler(wanted, activities);
  kineto::enableProfiler(wanted, activities);
  for (int64_t i = 0; i < options.steps; ++i) update();
  progress.update(2 * options.steps, "done");
  tensor::synchronize(machine.device);
  const auto result = kineto::disableProfiler();
  if (!options.trace.empty()) save_trace(*result, options.trace);

  const Ceilings ceilings{copy_rate(machine.device), product_rate(machine.device, tensor::precision_from(config.train.precision))};
  Value v = Value::object();
  v["name"] = config.architecture->name;
  v["device"] = config.train.device;
  v["dtype"] = config.train.precision;
  v["batch"] = config.rows();
  v["seq_len"] = config.train.seq_len;
  v["vocab_size"] = vocab;
  v["steps"] = options.steps;
  v["parameters"] = built.params->count();
  v["threads"] = machine.threads;
  v["product_backend"] = machine.product;
  v["copy_gb_per_s"] = ceilings.copy_gb_per_s;
  v["product_gflops"] = ceilings.product_gflops;
  v["formula_flops"] = config.architecture->cost(config.model_options(), {vocab, config.train.seq_len}).training_flops *
                       static_cast<double>(config.rows() * config.train.seq_len);
  v["phases"] = Value::array();
  for (size_t i = 0; i < phases.size(); ++i) v["phases"].push_back(phase_row(phases[i].name, summarize(ms[i]), work[i], ceilings));
  const Costs costs = cuda ? of_kernels(result->events()) : of_operators(result->events());
  double sum_ms = 0;
  const Value entries = entries_of(costs, by_name, static_cast<double>(options.steps), &sum_ms);
  v["ms"] = sum_ms;
  v["entries"] = entries;
  return v;
}

}  // namespace assay::bench
