#include "assay/train/static_step.h"

#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <charconv>
#include <cstring>

#include "assay/core/error.h"
#include "assay/ops/adam/adam.h"

namespace assay::train {
namespace {

using ops::Control;

constexpr int64_t kEagerUpdates = 2;  // libraries choose and allocate in these

}  // namespace

Nonfinite nonfinite_from(std::string_view text) {
  if (text == "stop") return {};
  Nonfinite n;
  if (text.substr(0, 5) == "skip:") {
    const std::string_view digits = text.substr(5);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n.skips);
    if (error == std::errc() && end == digits.data() + digits.size() && n.skips >= 1) return n;
  }
  throw core::ConfigError("train", "nonfinite='" + std::string(text) + "': wanted stop, or skip:K with K of at least 1 updates in a row");
}

StaticStep::StaticStep(const arch::Built& built, optim::Optimizer& optimizer, const Settings& settings)
    : built_(built), optimizer_(optimizer), settings_(settings), adam_(optimizer.on_device()), fresh_(*built.params) {
  const Tensor& values = built.params->values();
  const auto on_device = values.options().requires_grad(false);
  batch_2ABT_ = at::zeros({2, settings.accumulation, settings.rows, settings.length}, on_device.dtype(at::kLong));
  ids_ABT_ = batch_2ABT_[0];
  targets_ABT_ = batch_2ABT_[1];
  loss_ = at::zeros({1}, on_device);
  log_ = at::zeros({kKept, 4}, on_device.dtype(at::kDouble));
  const Tensor control = at::zeros({Control::count}, at::TensorOptions().dtype(at::kDouble));
  control.data_ptr<double>()[Control::patience] = static_cast<double>(settings.nonfinite.skips);
  control.data_ptr<double>()[Control::updates] = static_cast<double>(optimizer.updates());
  control_ = control.to(values.device());
  batch_upload_ = std::make_unique<tensor::Upload>(batch_2ABT_);
  static_assert(Control::rate == 0 && Control::clip == 1);
  numbers_upload_ = std::make_unique<tensor::Upload>(control_.narrow(0, 0, 2));
  batch_number_ = at::zeros({}, on_device.dtype(at::kLong));
  batch_number_upload_ = std::make_unique<tensor::Upload>(batch_number_);
  if (adam_) chunks_ = ops::adam_chunks(adam_->groups, values.device());
}

// Everything that depends on the update enters through memory: the batch and its number, and the first slots of `control`.
void StaticStep::load(std::span<const data::Rows> micro_batches, double lr, int64_t first_batch) {
  const int64_t each = settings_.rows * settings_.length;
  const Tensor tokens = batch_upload_->staging(), numbers = numbers_upload_->staging();
  int64_t* to = tokens.data_ptr<int64_t>();
  for (int64_t side = 0; side < 2; ++side)
    for (const data::Rows& r : micro_batches) {
      const std::vector<int64_t>& from = side == 0 ? r.inputs : r.targets;
      if (static_cast<int64_t>(from.size()) != each)
        throw core::ConfigError(
            "train", "a micro-batch of " + std::to_string(from.size()) + " tokens where the step was made for " + std::to_string(each));
      std::memcpy(to, from.data(), from.size() * sizeof(int64_t));
      to += each;
    }
  batch_upload_->send(tokens);
  numbers.data_ptr<double>()[0] = lr;
  numbers.data_ptr<double>()[1] = settings_.clip;
  numbers_upload_->send(numbers);
  const Tensor number = batch_number_upload_->staging();
  *number.data_ptr<int64_t>() = first_batch;
  batch_number_upload_->send(number);
}

void StaticStep::work() {
  loss_.zero_();
  built_.model->begin_passes();
  fresh_.begin();
  arch::Pass pass = pass_;
  for (int64_t a = 0; a < settings_.accumulation; ++a) {
    pass.batch_on_device = a == 0 ? batch_number_ : batch_number_ + a;
    built_.model->begin(pass);
    ++pass.batch;
    const Tensor loss = built_.model->training_loss(ids_ABT_[a], targets_ABT_[a]);
    const Tensor share = settings_.accumulation == 1 ? loss : loss / static_cast<double>(settings_.accumulation);
    torch::autograd::backward({share}, {});
    if (a == 0) fresh_.end();
    loss_.add_(share.detach());
  }
  built_.model->begin({});
  const at::NoGradGuard no_grad;
  built_.model->adjust_gradients();
  tensor::Params& params = *built_.params;
  const ops::AdamSettings adam = adam_ ? adam_->settings : ops::AdamSettings{};
  ops::decide_update_(params.grads(), loss_, control_, log_, adam.beta1, adam.beta2);
  if (adam_) {
    ops::adam_(params.values(), params.grads(), adam_->first, adam_->second, {}, control_, chunks_, adam);
    return;
  }
  const Tensor decided = control_.cpu();
  const double* slot = decided.data_ptr<double>();
  if (slot[Control::applied] == 0) return;
  if (slot[Control::scale] < 1) params.grads().mul_(slot[Control::scale]);
  optimizer_.update(slot[Control::rate]);
}

void StaticStep::run(std::span<const data::Rows> micro_batches, double lr, const arch::Update& update, const arch::Pass& first) {
  if (full()) throw std::logic_error("StaticStep: results must be collected every " + std::to_string(kKept) + " updates");
  const at::NoGradGuard outside;
  load(micro_batches, lr, first.batch);
  built_.model->before_update(update, ids_ABT_[0]);
  pass_ = first;
  const auto recorded = [&] {
    const at::AutoGradMode inside(true);
    work();
  };
  if (records() && graph_ == nullptr && runs_ >= kEagerUpdates) graph_ = tensor::capture(ids_ABT_.device(), recorded);
  if (graph_ != nullptr) graph_->replay();
  else recorded();
  ++runs_;
  finish(update);
  pending_.push_back(update.number);
}

bool StaticStep::records() const { return ids_ABT_.is_cuda() && settings_.capture && adam_ && built_.model->repeats_work(); }

// The model's own work after the update, which on the device is one where the update took place.
void StaticStep::finish(arch::Update update) {
  arch::Model& model = *built_.model;
  const int64_t kind = model.update_kind(update);
  if (kind == arch::Model::kTold) {
    finish_told_ = true;
    if (control_[Control::applied].item().toDouble() != 0) model.after_update(update);
    return;
  }
  update.applied = control_[Control::applied];
  const auto call = [&] { model.after_update(update); };
  if (kind < 0 || !ids_ABT_.is_cuda() || !settings_.capture) return call();
  Finish& f = finishes_[kind];
  if (f.graph == nullptr && f.runs >= kEagerUpdates) f.graph = tensor::capture(ids_ABT_.device(), call);
  if (f.graph != nullptr) f.graph->replay();
  else call();
  ++f.runs;
}

std::string StaticStep::description() const {
  std::string why;
  if (!ids_ABT_.is_cuda()) why = "on the CPU";
  else if (!settings_.capture) why = "train.capture=false";
  else if (!adam_) why = "the optimizer's rule is not device work alone";
  else if (!built_.model->repeats_work()) why = "numbers of the host enter the model's passes";
  else if (graph_ == nullptr) why = "too few updates to record one";
  std::string text = why.empty() ? "recorded" : "launched: " + why;
  if (finish_told_) text += "; the host waits for each update, which the model must know of";
  return text;
}

std::vector<StaticStep::Result> StaticStep::collect() {
  const Tensor log = log_.cpu(), control = control_.cpu();  // waits
  const double* c = control.data_ptr<double>();
  const auto index = static_cast<int64_t>(c[Control::index]);
  std::vector<Result> results;
  for (size_t i = 0; i < pending_.size(); ++i) {
    const int64_t row = (index - static_cast<int64_t>(pending_.size() - i)) % kKept;
    const double* r = log.data_ptr<double>() + 4 * row;
    results.push_back({pending_[i], r[0], r[1], r[2] != 0, r[3] != 0});
  }
  pending_.clear();
  optimizer_.set_updates(static_cast<int64_t>(c[Control::updates]));
  return results;
}

}  // namespace assay::train
