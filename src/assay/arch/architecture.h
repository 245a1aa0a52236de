#pragma once
#include <span>

#include "assay/core/options.h"
#include "assay/tensor/params.h"
#include "assay/tensor/product.h"

namespace assay::arch {

// What the run, not the variant, decides.
struct Dims {
  int64_t vocab_size = 0;  // of the data
  int64_t seq_len = 0;     // longest sequence that the model will see
};

// Sees named intermediate states, [B, T, n], in the order of computation and without changing anything: "embed", "hops.0.propagation",
// "hops.0", ..., "final". The audit names the first one at which something is wrong, so each mixer's and each transform's result is offered.
using Observer = std::function<void(std::string_view name, const Tensor& state)>;

// What a forward pass is for. Noise of a model (dropout, sampled routes) is a function of (seed, batch, row, position) and off in evaluation,
// so that a resumed run repeats it and rows do not share it.
struct Pass {
  bool training = false;
  uint64_t seed = 0;  // of the run
  int64_t batch = 0;  // number of the micro-batch
  // The same as an int64 scalar on the device, which a recorded step reads anew each time it is replayed. Undefined: use `batch`.
  Tensor batch_on_device = {};
};

// What a model keeps of the tokens that it has seen, to go on token by token; empty before the first one. Filled by Model::next.
struct Memory {
  std::vector<Tensor> slots;  // one a mixer, in the order of computation
  int64_t position = 0;       // tokens seen
};

// An update of the weights, counted from 0; `total` 0: the run is limited by time alone. Schedules of a component read these two.
struct Update {
  int64_t number = 0, total = 0;
  // A scalar on the device: not 0 where the update took place. Undefined: it did, as the host knows.
  Tensor applied = {};
};

// A complete model: plain tensors and equations. Built by ArchInfo::make, then its Params are sealed.
class Model {
 public:
  virtual ~Model() = default;
  // ids [B, T] int64 on the parameters' device, or the same dense: rows over the vocabulary [B, T, V] in the parameters' dtype, of
  // which one-hot rows mean the ids (the audit differentiates through them). -> logits [B, T, V] in the parameters' dtype.
  virtual Tensor forward(const Tensor& input, const Observer* observe) = 0;
  Tensor forward(const Tensor& input) { return forward(input, nullptr); }
  // Scalar training loss, nats a token. The default is the mean over the positions that count of the cross-entropy and `extra_loss`.
  virtual Tensor loss(const Tensor& logits_BTV, const Tensor& targets_BT);
  // What the objective adds to the cross-entropy of each position, [B, T], as a function of the states of the last forward pass.
  // Undefined tensor: nothing. Evaluation adds it too where it is defined then.
  virtual Tensor extra_loss(const Tensor& /*targets_BT*/) { return {}; }
  // loss(forward(ids), targets) in one go, for training: a model may never make its logits, or not keep them.
  virtual Tensor training_loss(const Tensor& ids_BT, const Tensor& targets_BT) { return loss(forward(ids_BT), targets_BT); }
  // Positions [first, end) of a row of T that count in loss and validation.
  virtual std::pair<int64_t, int64_t> scored(int64_t T) const { return {0, T}; }
  // What the model's head makes of an intermediate state [B, T, n] that `forward` offered to an observer: the logits [B, T, V] that it would
  // give if the remaining steps did nothing. Undefined tensor: this state cannot be read so.
  virtual Tensor read_out(std::string_view name, const Tensor& state);
  virtual int64_t vocab_size() const = 0;

  // Whether the passes of an update are the same device work each time. False where numbers of the host enter them, such as the counters of
  // noise, which a recorded step would repeat.
  virtual bool repeats_work() const { return true; }
  // How after_update does its work. Updates of one kind, 0 or more, are the same device work, which can be recorded; kUnlike: the work differs
  // from one to the next. In both cases it is device work alone, which changes nothing where Update::applied is 0. kTold: the host must know
  // whether the update took place before after_update is called, so that it waits for the device.
  static constexpr int64_t kUnlike = -1, kTold = -2;
  virtual int64_t update_kind(const Update&) const { return kUnlike; }
  // Logits [B, V] that follow the next token of each row, ids [B], after those that `memory` knows: the same numbers as `forward` on the whole
  // sequence, to rounding. In evaluation, without gradients. ConfigError where the model has no such form; `recurrent` says so before.
  virtual Tensor next(const Tensor& ids_B, Memory& memory);
  virtual bool recurrent() const { return false; }

  void begin(const Pass& pass) { pass_ = pass; }  // before forward; evaluation without it

  // What a component does to weights, gradients and its own state around an update, without gradients being recorded. In the order of an
  // update: before_update (with the ids [B, T] of its first micro-batch), begin_passes, forward and backward of each micro-batch,
  // adjust_gradients (before the norm is taken and clipped), the optimizer, after_update. begin_passes, which records gradients, makes what all
  // micro-batches share; adjust_gradients then sees to its derivative. It is optional: a pass without it makes its own.
  virtual void before_update(const Update&, const Tensor& /*ids_BT*/) {}
  virtual void begin_passes() {}
  virtual void adjust_gradients() {}
  virtual void after_update(const Update&) {}

 protected:
  const Pass& pass() const { return pass_; }

 private:
  Pass pass_;
};

// Floating-point operations and bytes of one training token, as the model's equations need them (not as a kernel happens to do them).
struct Cost {
  double forward_flops = 0;     // a multiply-add counts 2
  double training_flops = 0;    // forward and backward
  double activation_bytes = 0;  // saved for backward, fp32
};

// Values of options under a name, as a publication or a program used them: "num_steps=24 n_channels=32".
struct Preset {
  std::string_view name, options;
};

// One entry of the registry. All strings have static storage.
struct ArchInfo {
  std::string_view name;
  std::string_view aliases;    // space-separated older names
  std::string_view family;     // "vocabulary space", "transformer"
  std::string_view mixer;      // across positions
  std::string_view transform;  // within a position
  std::string_view summary;
  std::string_view source;
  std::string_view equations;
  std::string_view notes;           // what is known of published numbers of this architecture, and whether they can be trusted
  std::span<const Preset> presets;  // beside the defaults
  bool straight_through = false;    // gradients that pass where values do not: causality is then audited by values alone
  // Last part of the names of parameters whose gradient leaves a path out by definition (a stop-gradient in the equations): it is not the derivative
  // of the loss, and no check takes it for one.
  std::string_view stopped;
  const core::Schema& (*schema)();
  std::shared_ptr<void> (*new_config)();  // a default Config, to be seen through `schema`
  std::unique_ptr<Model> (*make)(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision);
  Cost (*cost)(const core::Value& config, const Dims& dims);
};

std::span<const ArchInfo* const> architectures();  // generated from the source list (cmake/architectures.cmake)
// By name or alias; ConfigError with the nearest name.
const ArchInfo& find_architecture(std::string_view name);
std::vector<std::string> aliases_of(const ArchInfo& a);

// ConfigError where `a` has no option of this name: with the architectures that have it, else the nearest name.
void require_option(const ArchInfo& a, std::string_view option);
// The defaults of `a` overlaid with `config` (an object of options), checked. ConfigError as core::Bound::set.
core::Value complete_config(const ArchInfo& a, const core::Value& config);

// The options that a preset sets, checked. ConfigError: no such preset, with those that there are.
core::Value preset_options(const ArchInfo& a, std::string_view name);
const Preset* find_preset(const ArchInfo& a, std::string_view name);  // null: none of this name

// Builds and seals. `config` as for complete_config.
struct Built {
  std::unique_ptr<tensor::Params> params;
  std::unique_ptr<Model> model;
};
struct BuildOptions {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  tensor::Precision precision = tensor::Precision::fp32;
  uint64_t seed = 0;
};
Built build(const ArchInfo& a, const core::Value& config, const Dims& dims, const BuildOptions& options);

template <class Config>
std::shared_ptr<void> new_config() {
  return std::make_shared<Config>();
}

// `Config` filled from an options object.
template <class Config>
Config configure(const core::Value& options) {
  Config c;
  auto bound = core::Bound::of(c);
  bound.set_all(options, core::Source::recipe);
  return c;
}

}  // namespace assay::arch

// The metadata entry at the end of a variant's file: ASSAY_ARCHITECTURE(id){.name = ..., ...};  id = the file's stem.
#define ASSAY_ARCHITECTURE(id)                    \
  extern const ::assay::arch::ArchInfo arch_##id; \
  constinit const ::assay::arch::ArchInfo arch_##id
