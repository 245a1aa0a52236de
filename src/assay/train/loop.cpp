#include "assay/train/loop.h"

#include <ATen/ops/linalg_vector_norm.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/tensor/device.h"
#include "assay/tensor/failure.h"
#include "assay/train/evaluate.h"
#include "assay/train/memory.h"
#include "assay/train/signals.h"

namespace assay::train {

using core::Value;

Run::Run(RunConfig& config, data::Corpus corpus, const Machine& machine)
    : config_(config),
      machine_(machine),
      corpus_(std::move(corpus)),
      built_(build_model(config, machine, corpus_.vocab_size)),
      optimizer_(optim::make_optimizer(*built_.params, config.optim)),
      loader_(*corpus_.train, config.rows(), config.train.seq_len, data::order_from(config.data.order),
              static_cast<uint64_t>(config.train.seed)),
      total_(config.total_steps()) {
  require_memory(predict_memory(config, built_.params->count(), corpus_.vocab_size), tensor::free_bytes(machine.device));
  counters_.threads = machine.threads;
  counters_.product = machine.product;
  counters_.data_hash = corpus_.hash;
  counters_.fingerprint = config.fingerprint();
  if (data::validation_windows(*corpus_.val, config.train.seq_len) == 0)
    throw core::DataError("train", corpus_.name + ": the validation part has " + std::to_string(corpus_.val->size()) +
                                       " tokens; one window needs train.seq_len + 1 = " + std::to_string(config.train.seq_len + 1));
}

Value Run::plan() const {
  const arch::Cost cost = config_.architecture->cost(config_.model_options(), {corpus_.vocab_size, config_.train.seq_len});
  Value v = Value::object();
  v["arch"] = config_.architecture->name;
  v["data"] = corpus_.name;
  v["data_hash"] = corpus_.hash;
  v["vocab_size"] = corpus_.vocab_size;
  v["train_tokens"] = static_cast<int64_t>(corpus_.train->size());
  v["val_tokens"] = static_cast<int64_t>(corpus_.val->size());
  v["parameters"] = built_.params->count();
  v["total_steps"] = total_;
  v["tokens_per_step"] = config_.tokens_per_step();
  v["training_flops_per_token"] = cost.training_flops;
  v["state_bytes"] = 16 * built_.params->values().size(0);
  v["activation_bytes_per_token"] = cost.activation_bytes;
  v["device"] = config_.train.device;
  v["precision"] = config_.train.precision;
  v["threads"] = machine_.threads;
  v["product_backend"] = machine_.product;
  const auto [first, end] = built_.model->scored(config_.train.seq_len);
  v["scored"] = Value::Array{first, end};  // positions [first, end) that the loss counts
  v["measures"] = Value::Array{"val_loss", "train_loss", "accuracy"};
  if (corpus_.tokenizer) v["measures"].push_back("val_bits_per_byte");
  v["fingerprint"] = counters_.fingerprint;
  v["config"] = config_.to_document();
  return v;
}

void Run::start_from(const FoundCheckpoint& found) {
  const Counters stored = found.counters();
  if (stored.data_hash != corpus_.hash)
    throw core::DataError(
        "train", "the data has changed since " + found.directory + " was written: hash " + corpus_.hash + ", recorded " + stored.data_hash);
  load_checkpoint(found, built_, optimizer_.get());
  const std::string fingerprint = counters_.fingerprint;
  counters_ = stored;
  counters_.fingerprint = fingerprint;
  data_from_ = counters_.step - counters_.micro_batch / config_.train.accumulation;
  saved_at_ = counters_.step;
}

// A row of kind `resumed`, of this resumption or of an earlier one: it decides what the rows behind it mean, and the run is no longer the one
// that its configuration alone describes.
void Run::take_up(const Value& resumed) {
  config_.optim.lr = resumed.at("base_rate").as_double();
  if (resumed.at("from_first_batch").as_bool()) {
    data_from_ = resumed.at("step").as_int();
    if (data_from_ == counters_.step) counters_.elapsed = 0;
    counters_.micro_batch = batch_of(counters_.step);
  }
  counters_.fingerprint = core::hex64(core::hash64(counters_.fingerprint + "\n" + core::to_json(resumed)));
}

std::vector<data::Rows> Run::micro_batches(int64_t first) const {
  std::vector<data::Rows> batches;
  for (int64_t a = 0; a < config_.train.accumulation; ++a) batches.push_back(loader_.batch(first + a));
  return batches;
}

void Run::write(const Value& row) { metrics_->append(core::to_json(row)); }

// The reference's start: real updates at the full rate on the first batches, which are then seen again; not counted as steps.
void Run::warm_up() {
  if (counters_.step > 0 || optimizer_->updates() > 0) return;
  for (int64_t n = 0; n < config_.optim.warmup_updates; ++n) {
    step_->run(micro_batches(n * config_.train.accumulation), config_.optim.lr, {n, total_}, pass(n * config_.train.accumulation));
    settle();
  }
}

// Whether the run is over before update `step`, else its multiplier. Recorded where the clock has a say.
bool Run::finished(double* multiplier) {
  const int64_t n = counters_.step;
  RateLog::Decision d;
  if (const RateLog::Decision* past = rates_ ? rates_->recorded(n) : nullptr) {
    d = *past;
    counters_.elapsed = d.elapsed;
    resume_clock();
  } else {
    d.elapsed = clock();
    d.stop = (total_ > 0 && n >= total_) || (config_.train.seconds > 0 && d.elapsed >= config_.train.seconds);
    if (!d.stop) d.multiplier = optim::multiplier(config_.optim.schedule, {n, total_, d.elapsed, config_.train.seconds});
    if (rates_) rates_->record(n, d);
  }
  *multiplier = d.multiplier;
  return d.stop;
}

void Run::update(double multiplier) {
  const double lr = config_.optim.lr * multiplier;
  const bool reported = (counters_.step + 1) % config_.train.log_every == 0 || counters_.step == 0;
  const Tensor before = reported ? built_.params->values().detach().clone() : Tensor();
  step_->run(micro_batches(counters_.micro_batch), lr, {counters_.step, total_}, pass(counters_.micro_batch));
  ++counters_.step;
  ++session_steps_;
  counters_.micro_batch += config_.train.accumulation;
  if (reported || !machine_.device.is_cuda() || step_->full()) settle();
  if (reported) report_training(lr, before);
}

// Waits for what was enqueued and looks at it.
void Run::settle() {
  for (const StaticStep::Result& r : step_->collect()) {
    train_loss_ = r.loss;
    grad_norm_ = r.grad_norm;
    if (r.applied) continue;
    std::vector<Batch> batches;
    for (const data::Rows& rows : micro_batches(batch_of(r.number))) batches.push_back(to_batch(rows, machine_.device));
    const std::string what = "update " + std::to_string(r.number) + ": " + first_nonfinite(built_, batches) + " is not finite (loss " +
                             std::to_string(r.loss) + ", gradient norm " + std::to_string(r.grad_norm) + ")";
    if (r.halted) {  // later updates were enqueued, and changed nothing
      counters_.step = std::min(counters_.step, r.number);
      counters_.micro_batch = batch_of(counters_.step);
      throw core::NumericsError("train", what + "; the weights are those before this update");
    }
    core::warn(what + "; skipped, as train.nonfinite=" + config_.train.nonfinite + " allows");
    Value row = Value::object();
    row["step"] = r.number + 1;
    row["kind"] = "skipped";
    row["tokens"] = (r.number + 1) * config_.tokens_per_step();
    row["reason"] = what;
    write(row);
  }
}

Value Run::activation_rms() {
  const at::NoGradGuard no_grad;
  Value v = Value::object();
  const arch::Observer look = [&](std::string_view name, const Tensor& state) {
    v[name] = std::sqrt(state.square().mean().item().toDouble());
  };
  const Batch b = to_batch(loader_.batch(counters_.micro_batch - 1), machine_.device);
  built_.model->forward(b.ids_BT.narrow(0, 0, 1), &look);
  return v;
}

void Run::report_training(double lr, const Tensor& before) {
  const at::NoGradGuard no_grad;
  pause_clock();
  const double size = at::linalg_vector_norm(before).item().toDouble();
  Value row = Value::object();
  row["step"] = counters_.step;
  row["kind"] = "train";
  row["tokens"] = tokens();
  row["loss"] = *train_loss_;
  row["lr"] = lr;
  row["grad_norm"] = *grad_norm_;
  row["update_ratio"] = at::linalg_vector_norm(built_.params->values() - before).item().toDouble() / std::max(size, 1e-30);
  row["activation_rms"] = activation_rms();
  const double rate = static_cast<double>(session_steps_ * config_.tokens_per_step()) / std::max(counters_.elapsed - session_start_, 1e-9);
  row["time"] = Value::object();
  row["time"]["seconds"] = counters_.elapsed;
  row["time"]["tokens_per_s"] = rate;
  write(std::move(row));
  char note[160];
  std::snprintf(note, sizeof note, "train_loss %.4f  lr %.2e  norm %.3f  %.0f tok/s", *train_loss_, lr, *grad_norm_, rate);
  progress_->update(counters_.step, note);
  resume_clock();
}

void Run::validate() {
  if (validated_at_ == counters_.step) return;
  settle();
  pause_clock();
  const int64_t rows = config_.train.val_batch > 0 ? config_.train.val_batch : config_.rows();
  const data::KnownEntropy* known = corpus_.val_entropy ? &*corpus_.val_entropy : nullptr;
  const Evaluation e =
      evaluate(built_, {*corpus_.val, corpus_.tokenizer.get(), known, config_.train.seq_len, rows, config_.train.val_tokens});
  write_validation(directory_, e, counters_.step);  // before the row that says that this validation is done
  Value row = Value::object();
  row["step"] = counters_.step;
  row["kind"] = "val";
  row["tokens"] = tokens();
  row["loss"] = e.loss;
  row["bits_per_byte"] = e.bits_per_byte ? Value(*e.bits_per_byte) : Value();
  row["accuracy"] = e.accuracy ? Value(*e.accuracy) : Value();
  row["exact_windows"] = e.exact_windows ? Value(*e.exact_windows) : Value();
  row["val_tokens"] = e.tokens;
  row["entropy"] = results::entropy_value(e.entropy);
  row["time"] = Value::object();
  row["time"]["seconds"] = counters_.elapsed;
  write(std::move(row));
  val_loss_ = e.loss;
  val_bits_ = e.bits_per_byte;
  val_accuracy_ = e.accuracy;
  entropy_ = e.entropy;
  validated_at_ = counters_.step;
  char note[120];
  std::snprintf(note, sizeof note, "step %lld  val_loss %.4f", static_cast<long long>(counters_.step), e.loss);
  core::info(std::string(note) + (e.bits_per_byte ? "  bits/byte " + std::to_string(*e.bits_per_byte) : ""));
  if (entropy_ && entropy_->refuted())
    core::warn("validation loss " + std::to_string(entropy_->model_loss()) + " lies below the entropy of the text, " +
               std::to_string(entropy_->entropy()) +
               " nats a token: the model sees what it predicts (chance of this without a leak: under 1e-6)");
  resume_clock();
}

void Run::save() {
  if (saved_at_ == counters_.step) return;
  settle();
  pause_clock();
  metrics_->sync();
  counters_.optimizer_updates = optimizer_->updates();
  save_checkpoint(fs_, directory_, config_, built_, *optimizer_, counters_);
  saved_at_ = counters_.step;
  // Older ones go only after the new one was read back and verified.
  if (const auto newest = newest_checkpoint(directory_); newest && newest->counters().step == counters_.step)
    remove_old_checkpoints(fs_, directory_, std::max<int64_t>(1, config_.train.keep_checkpoints));
  resume_clock();
}

results::Summary Run::summary(const std::string& status, int exit_code, const std::string& error) const {
  results::Summary s;
  s.status = status;
  s.exit_code = exit_code;
  s.error = error;
  s.arch = std::string(config_.architecture->name);
  s.name = config_.name;
  s.fingerprint = counters_.fingerprint;
  s.data_hash = corpus_.hash;
  s.seed = config_.train.seed;
  s.steps = counters_.step;
  s.tokens = tokens();
  s.parameters = built_.params->count();
  s.threads = machine_.threads;
  s.train_loss = train_loss_;
  s.val_loss = val_loss_;
  s.val_bits_per_byte = val_bits_;
  s.accuracy = val_accuracy_;
  s.entropy = entropy_;
  s.seconds = counters_.elapsed;
  const double session = counters_.elapsed - session_start_;
  s.tokens_per_s = session > 0 ? static_cast<double>(session_steps_ * config_.tokens_per_step()) / session : 0;
  s.peak_bytes = tensor::peak_bytes(machine_.device);
  s.device = config_.train.device;
  s.precision = config_.train.precision;
  s.product_backend = machine_.product;
  if (step_) s.step = step_->description();
  return s;
}

void Run::open_metrics() {
  // Rows after the point that the run starts from belong to a part that is done again.
  std::vector<Value> resumptions;
  metrics_ = std::make_unique<core::LineLog>(fs_, directory_ + "/metrics.jsonl", [&](std::string_view line) {
    const Value row = core::parse_json(line, "metrics.jsonl");
    const std::string kind = row.at("kind").as_string();
    if (row.at("step").as_int() > counters_.step || (saved_at_ < 0 && kind != "resumed")) return false;
    if (kind == "val") {
      val_loss_ = row.at("loss").as_double();
      if (!row.at("bits_per_byte").is_null()) val_bits_ = row.at("bits_per_byte").as_double();
      if (const Value* accuracy = row.find("accuracy"); accuracy && accuracy->is_number()) val_accuracy_ = accuracy->as_double();
      entropy_ = results::entropy_from(row.at("entropy"));
      validated_at_ = row.at("step").as_int();
    } else if (kind == "train") {
      train_loss_ = row.at("loss").as_double();
      grad_norm_ = row.at("grad_norm").as_double();
    } else if (kind == "resumed") {
      resumptions.push_back(row);
    }
    return true;
  });
  for (const Value& row : resumptions) take_up(row);
  if (!continuation_.changes_results()) return;
  Value row = Value::object();
  row["step"] = counters_.step;
  row["kind"] = "resumed";
  row["tokens"] = tokens();
  row["base_rate"] = continuation_.base_rate.value_or(config_.optim.lr);
  row["from_first_batch"] = continuation_.from_first_batch;
  write(row);
  metrics_->sync();
  take_up(row);
}

results::Summary Run::run(const std::string& directory) {
  directory_ = directory;
  open_metrics();
  if (config_.train.seconds > 0) rates_ = std::make_unique<RateLog>(fs_, directory + "/rates.jsonl", !limits_moved_);
  progress_ = std::make_unique<core::Progress>(config_.name, total_ > 0 ? total_ : 0);
  session_start_ = counters_.elapsed;
  catch_signals();
  if (machine_.device.is_cpu())
    core::info(config_.name + ": products by " + machine_.product + " on " + std::to_string(machine_.threads) +
               (machine_.threads == 1 ? " thread" : " threads"));
  resume_clock();
  try {
    step_ = std::make_unique<StaticStep>(
        built_, *optimizer_,
        StaticStep::Settings{config_.rows(), config_.train.seq_len, config_.train.accumulation, config_.optim.clip,
                             nonfinite_from(config_.train.nonfinite), config_.train.capture});
    warm_up();
    double multiplier = 1;
    while (!finished(&multiplier)) {
      if (due(config_.train.val_every)) validate();
      update(multiplier);
      if (due(config_.train.checkpoint_every)) {
        if (due(config_.train.val_every)) validate();
        save();
      }
      if (stop_requested()) {
        save();
        throw core::Interrupted(
            "train", "stopped by a signal after update " + std::to_string(counters_.step) + "; go on with --resume " + directory);
      }
    }
    validate();
    if (keeps_weights()) save();
    pause_clock();
  } catch (const std::exception& any) {
    const core::Error e = tensor::to_error(any);
    pause_clock();
    const bool interrupted = e.code() == core::Exit::interrupted;
    results::write_summary(directory, summary(interrupted ? "interrupted" : "failed", static_cast<int>(e.code()), e.what()));
    throw;  // as it came: its type is lost in a copy
  }
  const results::Summary s = summary("done", 0, "");
  results::write_summary(directory, s);
  if (!keeps_weights()) remove_old_checkpoints(fs_, directory, 0);
  return s;
}

}  // namespace assay::train
