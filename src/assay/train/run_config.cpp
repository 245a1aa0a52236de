#include "assay/train/run_config.h"

#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/data/loader.h"

namespace assay::train {
namespace {

constexpr int64_t kDefaultSteps = 500;

[[noreturn]] void bad(const std::string& what) { throw core::ConfigError("train", what); }

}  // namespace

const core::Schema& TrainConfig::schema() {
  using core::option;
  using C = TrainConfig;
  constexpr double many = 9e15;
  static const core::Schema s = core::declare<C>(
      "train",
      {
          option("steps", &C::steps, "updates; 0 = set by tokens or seconds, else 500", 0, 1e12).env("ITERATIONS"),
          option("tokens", &C::tokens, "training tokens to spend; 0 = no such limit", 0, many),
          option("seconds", &C::seconds, "training time to spend, validation not counted; 0 = no such limit", 0, 1e9)
              .env("MAX_WALLCLOCK_SECONDS"),
          option("batch", &C::batch, "sequences of a micro-batch", 1, 1 << 20),
          option("seq_len", &C::seq_len, "tokens of a sequence", 1, 1 << 20).env("TRAIN_SEQ_LEN"),
          option("accumulation", &C::accumulation, "micro-batches of an update", 1, 1 << 20).env("GRAD_ACCUM_STEPS"),
          option("batch_tokens", &C::batch_tokens, "tokens of an update, instead of batch; 0 = batch * seq_len * accumulation", 0, many)
              .env("TRAIN_BATCH_TOKENS"),
          option("seed", &C::seed, "of initial values, data order and noise", 0, many).env("SEED"),
          option("init_salt", &C::init_salt,
                 "another text: other initial values with the same data, to compare an architecture with itself"),
          option("device", &C::device, "cpu, cuda or cuda:N"),
          option("precision", &C::precision, "operands of matrix products; all else stays fp32").one_of({"fp32", "bf16"}),
          option("threads", &C::threads, "CPU threads; 0 = all cores", 0, 4096),
          option("product", &C::product, "CPU product library; auto measures, a run records what it used")
              .one_of({"auto", "aten", "onednn", "mixed", "aten+bf16", "onednn+bf16", "mixed+bf16"}),
          option("nonfinite", &C::nonfinite,
                 "an update whose loss or gradient is not finite: stop, or skip:K for at most K in a row; weights stay as they were"),
          option("capture", &C::capture, "CUDA: record the step once and replay it; the results are the same bits").neutral(),
          option("log_every", &C::log_every, "updates between rows of metrics.jsonl", 1, many).env("TRAIN_LOG_EVERY"),
          option("val_every", &C::val_every, "updates between validations; 0 = only at the end", 0, many).env("VAL_LOSS_EVERY"),
          option("val_tokens", &C::val_tokens, "validation tokens used; 0 = all", 0, many),
          option("val_batch", &C::val_batch, "sequences of a validation batch; 0 = as in training", 0, 1 << 20),
          option("checkpoint_every", &C::checkpoint_every, "updates between checkpoints; 0 = only at the end", 0, many)
              .env("CHECKPOINT_EVERY")
              .neutral(),
          option("keep_checkpoints", &C::keep_checkpoints,
                 "newest checkpoints that are kept; 0 = one while the run lasts, none once it is done", 0, 1 << 20)
              .neutral(),
      });
  return s;
}

RunConfig::RunConfig(const arch::ArchInfo& a) : architecture(&a), model_(a.new_config()) {
  settings.add(core::Bound(a.schema(), model_.get()));
  settings.add(core::Bound::of(optim));
  settings.add(core::Bound::of(train));
  settings.add(core::Bound::of(data));
}

core::Value RunConfig::model_options() const { return core::Bound(architecture->schema(), model_.get()).values(); }

std::string RunConfig::fingerprint() const {
  return core::hex64(core::hash64(std::string(architecture->name) + "\n" + settings.fingerprint()));
}

core::Value RunConfig::to_document() const {
  core::Value d = core::Value::object();
  d["arch"] = architecture->name;
  d["name"] = name;
  const core::Value sections = settings.values();  // the temporary must outlive the loop
  for (const auto& [section, values] : sections.as_object()) d[section] = values;
  d["sources"] = settings.sources();
  return d;
}

std::unique_ptr<RunConfig> RunConfig::from_document(const core::Value& document) {
  auto config = std::make_unique<RunConfig>(arch::find_architecture(document.at("arch").as_string()));
  core::Value sections = document;
  for (const char* key : {"arch", "name", "sources"}) sections.erase(key);
  config->name = document.at("name").as_string();
  config->settings.set_document(sections, core::Source::recipe);
  return config;
}

int64_t RunConfig::rows() const {
  if (train.batch_tokens == 0) return train.batch;
  const int64_t unit = train.seq_len * train.accumulation;
  if (train.batch_tokens % unit != 0)
    bad("train.batch_tokens=" + std::to_string(train.batch_tokens) + " is no multiple of seq_len * accumulation = " + std::to_string(unit));
  return train.batch_tokens / unit;
}

int64_t RunConfig::tokens_per_step() const { return rows() * train.seq_len * train.accumulation; }

int64_t RunConfig::total_steps() const {
  int64_t total = train.steps;
  if (train.tokens > 0) {
    const int64_t affordable = train.tokens / tokens_per_step();
    if (affordable == 0)
      bad("train.tokens=" + std::to_string(train.tokens) + " does not pay for one update of " + std::to_string(tokens_per_step()) +
          " tokens");
    total = total > 0 ? std::min(total, affordable) : affordable;
  }
  if (total == 0 && train.seconds == 0) total = kDefaultSteps;
  return total;
}

void RunConfig::resolve_corpus() {
  if (data.corpus_tokens > 0 || !data::is_embedded(data.path)) return;
  const int64_t steps = total_steps() + optim.warmup_updates;
  const int64_t wanted = total_steps() > 0 ? data::corpus_tokens_for(steps * tokens_per_step(), train.seq_len) : data::kCorpusTokens;
  settings.set("data.corpus_tokens", std::max<int64_t>(wanted, 2), core::Source::fallback);
}

void RunConfig::check() const {
  total_steps();
  data::order_from(data.order);
  if (optim.schedule.schedule == "cosine" && optim.schedule.warmup_steps > 0 && total_steps() > 0 &&
      optim.schedule.warmup_steps >= total_steps())
    bad("optim.warmup_steps=" + std::to_string(optim.schedule.warmup_steps) + " leaves nothing of a run of " +
        std::to_string(total_steps()) + " updates");
}

}  // namespace assay::train
