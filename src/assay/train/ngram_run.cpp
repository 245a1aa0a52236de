#include "assay/train/ngram_run.h"

#include <charconv>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/log.h"
#include "assay/data/ngram.h"
#include "assay/train/evaluate.h"
#include "assay/train/start.h"

namespace assay::train {
namespace {

constexpr std::string_view kName = "ngram";

struct Config {
  int64_t order = 5;
  static const core::Schema& schema() {
    static const core::Schema s =
        core::declare<Config>("model", {core::option("order", &Config::order, "tokens of the longest n-gram", 1, 16)});
    return s;
  }
};

std::unique_ptr<arch::Model> no_model(const core::Value&, const arch::Dims&, tensor::Params&, tensor::Precision) {
  throw core::ConfigError("ngram", "has no parameters to train; wanted an architecture of `assay list architectures`");
}

arch::Cost no_cost(const core::Value&, const arch::Dims&) { return {}; }

constinit const arch::ArchInfo info{.name = "ngram",
                                    .family = "n-gram",
                                    .mixer = "counts of the last tokens",
                                    .summary = "interpolated modified Kneser-Ney n-gram model",
                                    .source = "Chen and Goodman 1998",
                                    .schema = &Config::schema,
                                    .new_config = &arch::new_config<Config>,
                                    .make = &no_model,
                                    .cost = &no_cost};

// Counts the windows of every micro-batch of the run.
data::NGram counted(const RunConfig& config, const data::Corpus& corpus) {
  const int64_t order = config.model_options().at("order").as_int();
  data::NGram model(static_cast<int>(order), corpus.vocab_size);
  const data::Loader loader(*corpus.train, config.rows(), config.train.seq_len, data::order_from(config.data.order),
                            static_cast<uint64_t>(config.train.seed));
  const int64_t batches = config.total_steps() * config.train.accumulation;
  core::Progress progress(config.name, batches);
  std::vector<uint16_t> row;
  for (int64_t n = 0; n < batches; ++n) {
    const data::Rows rows = loader.batch(n);
    for (int64_t r = 0; r < rows.rows; ++r) {
      const auto begin = rows.inputs.begin() + r * rows.seq_len;
      row.assign(begin, begin + rows.seq_len);
      row.push_back(static_cast<uint16_t>(rows.targets[static_cast<size_t>((r + 1) * rows.seq_len - 1)]));
      model.add(row);
    }
    progress.update(n + 1, "counting");
  }
  return model;
}

void require_counted_limit(const RunConfig& config) {
  if (config.total_steps() == 0)
    throw core::ConfigError("ngram", "a run limited by time alone has no tokens to count; give train.tokens or train.steps");
}

void write_metrics(const std::string& directory, const RunConfig& config, const Evaluation& e, double seconds) {
  core::Value row = core::Value::object();
  row["step"] = config.total_steps();
  row["kind"] = "val";
  row["tokens"] = config.total_steps() * config.tokens_per_step();
  row["loss"] = e.loss;
  row["bits_per_byte"] = e.bits_per_byte ? core::Value(*e.bits_per_byte) : core::Value();
  row["val_tokens"] = e.tokens;
  row["entropy"] = results::entropy_value(e.entropy);
  row["time"] = core::Value::object();
  row["time"]["seconds"] = seconds;
  core::write_file(core::real_files(), directory + "/metrics.jsonl", core::to_json(row) + "\n");
}

results::Summary summary_of(const RunConfig& config, const data::Corpus& corpus, const Evaluation& e, double seconds) {
  results::Summary s;
  s.arch = kName;
  s.name = config.name;
  s.fingerprint = config.fingerprint();
  s.data_hash = corpus.hash;
  s.seed = config.train.seed;
  s.steps = config.total_steps();
  s.tokens = s.steps * config.tokens_per_step();
  s.threads = 1;
  s.val_loss = e.loss;
  s.val_bits_per_byte = e.bits_per_byte;
  s.seconds = seconds;
  s.tokens_per_s = seconds > 0 ? static_cast<double>(s.tokens) / seconds : 0;
  s.device = "cpu";
  s.precision = "float64";
  s.entropy = e.entropy;
  return s;
}

}  // namespace

bool is_ngram(std::string_view architecture) { return architecture == kName || architecture.starts_with("ngram:"); }

const arch::ArchInfo& ngram_info() { return info; }

std::unique_ptr<RunConfig> ngram_config(std::string_view architecture) {
  auto config = std::make_unique<RunConfig>(info);
  if (architecture != kName)
    config->settings.set("model.order", core::Value(architecture.substr(kName.size() + 1)), core::Source::command_line);
  return config;
}

results::Summary run_ngram(RunConfig& config, const std::string& directory) {
  require_unused(directory);
  config.check();
  require_counted_limit(config);
  config.resolve_corpus();
  const data::Corpus corpus = data::open_corpus(config.data);
  const data::KnownEntropy* known = corpus.val_entropy ? &*corpus.val_entropy : nullptr;
  const EvaluationRequest request{*corpus.val, corpus.tokenizer.get(), known, config.train.seq_len, config.rows(), config.train.val_tokens};
  const int64_t scored = scored_tokens(request);
  core::make_directories(core::real_files(), directory);
  const core::DirectoryLock lock(directory);
  write_run_files(config, directory);
  const double start = core::monotonic_seconds();
  data::NGram model = counted(config, corpus);
  const double seconds = core::monotonic_seconds() - start;
  std::vector<double> nats = model.nats(*corpus.val);
  nats.resize(static_cast<size_t>(scored));
  const Evaluation e = evaluation_of(request, std::move(nats));
  write_validation(directory, e, config.total_steps());
  write_metrics(directory, config, e, seconds);
  const results::Summary s = summary_of(config, corpus, e, seconds);
  results::write_summary(directory, s);
  return s;
}

core::Value dry_run_ngram(RunConfig& config) {
  config.check();
  require_counted_limit(config);
  config.resolve_corpus();
  const data::Corpus corpus = data::open_corpus(config.data);
  core::Value v = core::Value::object();
  v["arch"] = kName;
  v["data"] = corpus.name;
  v["data_hash"] = corpus.hash;
  v["vocab_size"] = corpus.vocab_size;
  v["parameters"] = int64_t{0};
  v["total_steps"] = config.total_steps();
  v["tokens_per_step"] = config.tokens_per_step();
  v["training_flops_per_token"] = 0.0;
  v["measures"] = corpus.tokenizer ? core::Value::Array{"val_loss", "val_bits_per_byte"} : core::Value::Array{"val_loss"};
  v["fingerprint"] = config.fingerprint();
  v["config"] = config.to_document();
  return v;
}

}  // namespace assay::train
