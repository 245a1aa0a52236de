#include <cstdio>

#include "assay/cli/commands.h"
#include "assay/cli/run_options.h"
#include "assay/results/run_directory.h"
#include "assay/train/evaluate.h"

namespace assay::cli {
namespace {

void print_entropy(const train::Evaluation& e) {
  if (!e.entropy) return;
  std::printf("%.0f nats over %lld symbols; their generator knows them to be worth %.0f (%.6f a token)%s\n", e.entropy->model_nats,
              static_cast<long long>(e.entropy->symbols), e.entropy->generator_nats, e.entropy->entropy(),
              e.entropy->refuted() ? ": the model sees what it predicts" : "");
  for (const auto& [distance, at] : e.agreement)
    std::printf("  agreement over %2d words: %.4f nats a word (%lld words)\n", distance, at.nats / static_cast<double>(at.words),
                static_cast<long long>(at.words));
}

}  // namespace

int run_eval(const std::vector<std::string>& args) {
  CommandLine line("eval", "Validation loss and bits per byte of a checkpoint.");
  std::string directory, device, data;
  std::vector<std::string> assignments;
  line.positional("DIR", directory, "run directory (its newest checkpoint) or checkpoint directory");
  line.option("--device", device, "cpu, cuda or cuda:N; default: the run's");
  line.option("--data", data, "other data than the run's");
  line.assignments(assignments, "train.val_tokens=N, train.seq_len=N, data.val_path=FILE, ...");
  if (!line.parse(args)) return 0;
  if (line.given("--data")) assignments.push_back("data.path=" + data);
  const OpenedRun run = open_run(directory, device, assignments, "eval", validation_options());
  const train::TrainConfig& c = run.config->train;
  const data::KnownEntropy* known = run.corpus.val_entropy ? &*run.corpus.val_entropy : nullptr;
  const train::Evaluation e = train::evaluate(run.built, {*run.corpus.val, run.corpus.tokenizer.get(), known, c.seq_len,
                                                          c.val_batch > 0 ? c.val_batch : run.config->rows(), c.val_tokens});
  core::Value v = core::Value::object();
  v["directory"] = directory;
  v["arch"] = run.config->architecture->name;
  v["data"] = run.corpus.name;
  v["val_loss"] = e.loss;
  v["val_bits_per_byte"] = e.bits_per_byte ? core::Value(*e.bits_per_byte) : core::Value();
  v["accuracy"] = e.accuracy ? core::Value(*e.accuracy) : core::Value();
  v["exact_windows"] = e.exact_windows ? core::Value(*e.exact_windows) : core::Value();
  v["tokens"] = e.tokens;
  v["bytes"] = e.to_value().at("bytes");
  v["agreement"] = e.to_value().at("agreement");
  v["entropy"] = results::entropy_value(e.entropy);
  if (line.json) {
    std::printf("%s\n", core::to_json(v, 2).c_str());
    return 0;
  }
  std::printf("%s on %s: %.6f nats a token over %lld tokens", run.config->name.c_str(), run.corpus.name.c_str(), e.loss,
              static_cast<long long>(e.tokens));
  if (e.bits_per_byte) std::printf(", %.6f bits a byte", *e.bits_per_byte);
  if (e.accuracy && e.exact_windows) std::printf(", %.2f %% right, %.2f %% of windows entirely", 100 * *e.accuracy, 100 * *e.exact_windows);
  std::printf("\n");
  if (e.bytes && !e.to_value().at("bytes").at("exact").as_bool())
    std::printf("bytes are not exact: %s\n", e.to_value().at("bytes").at("reason").as_string().c_str());
  print_entropy(e);
  return 0;
}

}  // namespace assay::cli
