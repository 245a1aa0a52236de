#pragma once
#include <map>

#include "assay/data/loader.h"
#include "assay/tensor/fresh_gradients.h"
#include "assay/tensor/graph.h"
#include "assay/tensor/upload.h"
#include "assay/train/step.h"

namespace assay::train {

// What to do with an update whose loss or gradient is not finite: stop, or pass over up to `skips` in a row.
struct Nonfinite {
  int64_t skips = 0;
};
Nonfinite nonfinite_from(std::string_view text);  // "stop" or "skip:K"; ConfigError

// One update as work on fixed addresses (docs/static-step.md): forward and backward of each micro-batch; the model's
// own change of the gradients; decide; Adam. On a CUDA device the work is recorded at the third update and replayed from then on, so that the host
// neither launches kernels nor waits; before that, on the CPU, and for a model whose passes differ, the same calls are made one by one.
// The results are the same bits either way. A rule other than Adam's (optim::Optimizer::on_device) is never recorded: the host reads the decision and calls it.
// What the model does after an update is recorded apart, once for each kind of update (arch::Model::update_kind).
class StaticStep {
 public:
  struct Settings {
    int64_t rows = 0, length = 0, accumulation = 1;  // of a micro-batch; micro-batches an update
    double clip = 0;
    Nonfinite nonfinite;
    bool capture = true;
  };
  StaticStep(const arch::Built& built, optim::Optimizer& optimizer, const Settings& settings);

  // Enqueues one update. Nothing is waited for on a CUDA device.
  void run(std::span<const data::Rows> micro_batches, double lr, const arch::Update& update, const arch::Pass& first);

  struct Result {
    int64_t number = 0;  // of the update
    double loss = 0, grad_norm = 0;
    bool applied = false;  // false: not finite, nothing was changed
    bool halted = false;   // one of those, after as many in a row as were allowed: this and all later updates change nothing
  };
  // Waits, and gives the results of the updates since the last call, in order. At most kKept updates may be enqueued between two calls.
  std::vector<Result> collect();
  bool full() const { return static_cast<int64_t>(pending_.size()) == kKept; }
  bool captured() const { return graph_ != nullptr; }
  // How the step reaches the device, for people: "recorded", or "launched: " and why, and what of it the host still does after an update.
  std::string description() const;
  static constexpr int64_t kKept = 64;

 private:
  void work();
  void finish(arch::Update update);
  bool records() const;
  void load(std::span<const data::Rows> micro_batches, double lr, int64_t first_batch);

  const arch::Built& built_;
  optim::Optimizer& optimizer_;
  Settings settings_;
  std::optional<optim::AdamOnDevice> adam_;
  tensor::FreshGradients fresh_;
  Tensor batch_2ABT_, ids_ABT_, targets_ABT_;  // the latter two are the former's parts
  Tensor loss_, control_, log_, chunks_, batch_number_;
  std::unique_ptr<tensor::Upload> batch_upload_, numbers_upload_, batch_number_upload_;
  std::unique_ptr<tensor::Graph> graph_;
  struct Finish {
    int64_t runs = 0;
    std::unique_ptr<tensor::Graph> graph;
  };
  std::map<int64_t, Finish> finishes_;  // by kind of update
  bool finish_told_ = false;
  int64_t runs_ = 0;
  arch::Pass pass_;
  std::vector<int64_t> pending_;
};

}  // namespace assay::train
