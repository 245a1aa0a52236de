#pragma once
#include <optional>

#include "assay/core/log.h"
#include "assay/results/run_directory.h"
#include "assay/train/checkpoint.h"
#include "assay/train/rate_log.h"
#include "assay/train/resume_options.h"
#include "assay/train/static_step.h"

namespace assay::train {

// Everything that a run holds while it runs.
class Run {
 public:
  Run(RunConfig& config, data::Corpus corpus, const Machine& machine);

  core::Value plan() const;
  void start_from(const FoundCheckpoint& found);
  void limits_moved() { limits_moved_ = true; }
  void go_on_otherwise(const Continuation& how) { continuation_ = how; }
  results::Summary run(const std::string& directory);

 private:
  bool finished(double* multiplier);
  void warm_up();
  void update(double multiplier);
  void settle();
  void validate();
  void save();
  void report_training(double lr, const Tensor& before);
  void write(const core::Value& row);
  core::Value activation_rms();
  std::vector<data::Rows> micro_batches(int64_t first) const;
  arch::Pass pass(int64_t batch) const { return {true, static_cast<uint64_t>(config_.train.seed), batch}; }
  results::Summary summary(const std::string& status, int exit_code, const std::string& error) const;
  double clock() const { return counters_.elapsed + (core::monotonic_seconds() - started_); }
  void open_metrics();
  void take_up(const core::Value& resumed);
  int64_t batch_of(int64_t step) const { return (step - data_from_) * config_.train.accumulation; }
  void pause_clock() { counters_.elapsed = clock(); }
  void resume_clock() { started_ = core::monotonic_seconds(); }
  bool keeps_weights() const { return config_.train.keep_checkpoints > 0; }
  bool due(int64_t every) const { return every > 0 && counters_.step % every == 0; }
  int64_t tokens() const { return counters_.step * config_.tokens_per_step(); }

  RunConfig& config_;
  Machine machine_;
  data::Corpus corpus_;
  arch::Built built_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  data::Loader loader_;
  std::unique_ptr<StaticStep> step_;
  int64_t total_;
  Counters counters_;
  Continuation continuation_;
  int64_t data_from_ = 0;  // the step that read the first batch
  double started_ = 0;
  int64_t validated_at_ = -1, saved_at_ = -1, session_steps_ = 0;
  double session_start_ = 0;
  bool limits_moved_ = false;
  std::optional<double> train_loss_, grad_norm_, val_loss_, val_bits_, val_accuracy_;
  std::optional<stats::EntropyRule> entropy_;
  std::string directory_;
  core::FileSystem& fs_ = core::real_files();
  std::unique_ptr<core::LineLog> metrics_;
  std::unique_ptr<RateLog> rates_;
  std::unique_ptr<core::Progress> progress_;
};

}  // namespace assay::train
