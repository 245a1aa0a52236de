#pragma once
#include "assay/arch/architecture.h"
#include "assay/data/corpus.h"
#include "assay/optim/optimizer.h"

namespace assay::train {

struct TrainConfig {
  int64_t steps = 0, tokens = 0;
  double seconds = 0;
  int64_t batch = 8, seq_len = 128, accumulation = 1, batch_tokens = 0;
  int64_t seed = 1337;
  std::string init_salt;  // "": the initial values of the seed
  std::string device = "cpu", precision = "fp32", product = "auto", nonfinite = "stop";
  bool capture = true;
  int64_t threads = 0;
  int64_t log_every = 10, val_every = 0, val_tokens = 0, val_batch = 0;
  int64_t checkpoint_every = 0, keep_checkpoints = 2;
  static const core::Schema& schema();  // section "train"
};

// The whole configuration of a run: an architecture and the sections model, optim, train, data. Not movable: `settings` points inside.
class RunConfig {
 public:
  explicit RunConfig(const arch::ArchInfo& architecture);
  RunConfig(const RunConfig&) = delete;
  RunConfig& operator=(const RunConfig&) = delete;

  const arch::ArchInfo* architecture;
  std::string name;
  optim::OptimConfig optim;
  TrainConfig train;
  data::DataConfig data;
  core::Settings settings;

  core::Value model_options() const;
  std::string fingerprint() const;  // of the architecture and every option that can change results
  // {"arch": ..., "name": ..., "model": {...}, ..., "sources": {...}}: what config.toml holds, and back.
  core::Value to_document() const;
  static std::unique_ptr<RunConfig> from_document(const core::Value& document);

  // Derived; ConfigError where the options contradict each other.
  int64_t rows() const;  // of one micro-batch
  int64_t tokens_per_step() const;
  int64_t total_steps() const;  // 0: limited by time alone
  void check() const;
  // Says how much of an embedded corpus the run reads, where the configuration leaves that open (data.corpus_tokens = 0).
  void resolve_corpus();

 private:
  std::shared_ptr<void> model_;
};

}  // namespace assay::train
