#include <cstdio>

#include "assay/cli/commands.h"
#include "assay/cli/run_options.h"
#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/inspect/generate.h"

namespace assay::cli {
namespace {

constexpr int64_t kMostTokens = 1000000;

void check(const inspect::Sampling& s, int64_t seed) {
  const auto bad = [](const std::string& what) { throw core::ConfigError("generate", what); };
  if (s.tokens < 1 || s.tokens > kMostTokens)
    bad("--tokens must be at least 1 and at most " + std::to_string(kMostTokens) + ", got " + std::to_string(s.tokens));
  if (!(s.temperature >= 0 && s.temperature < 1e6)) bad("--temperature must be 0 or more, got " + std::to_string(s.temperature));
  if (s.top_k < 0) bad("--top-k must be 0 (all) or more, got " + std::to_string(s.top_k));
  if (!(s.top_p > 0 && s.top_p <= 1)) bad("--top-p must lie in (0, 1], got " + std::to_string(s.top_p));
  if (seed < 0) bad("--seed must be 0 or more, got " + std::to_string(seed));
}

}  // namespace

int run_generate(const std::vector<std::string>& args) {
  CommandLine line("generate", "Continue a text with a trained model.");
  std::string directory, prompt, device;
  inspect::Sampling s;
  int64_t seed = 0;
  line.positional("DIR", directory, "run directory or checkpoint directory");
  line.option("--prompt", prompt, "text to continue; default: the beginning of a document");
  line.option("--tokens", s.tokens, "tokens to add");
  line.option("--temperature", s.temperature, "flattens (> 1) or sharpens (< 1) the distribution; 0 = always the most likely token");
  line.option("--top-k", s.top_k, "only the K most likely tokens; 0 = all");
  line.option("--top-p", s.top_p, "only the most likely tokens that together reach this probability");
  line.option("--seed", seed, "of the draws");
  line.option("--device", device, "cpu, cuda or cuda:N; default: the run's");
  if (!line.parse(args)) return 0;
  check(s, seed);
  s.seed = static_cast<uint64_t>(seed);
  const OpenedRun run = open_run(directory, device, {});
  const data::Tokenizer* tokenizer = run.corpus.tokenizer.get();
  if (tokenizer == nullptr) throw core::ConfigError("generate", run.corpus.name + " has no tokenizer; give data.tokenizer when training");
  s.vocab = tokenizer->vocab_size();
  std::vector<uint16_t> ids = tokenizer->encode(prompt);
  if (tokenizer->bos() >= 0) ids.insert(ids.begin(), static_cast<uint16_t>(tokenizer->bos()));
  const size_t given = ids.size();
  core::Progress progress("generate", s.tokens);
  int64_t done = 0;
  ids = inspect::generate(run.built, std::move(ids), run.config->train.seq_len, s, [&](uint16_t) { progress.update(++done, "tokens"); });
  const std::vector<uint16_t> added(ids.begin() + static_cast<int64_t>(given), ids.end());
  const std::string text = tokenizer->decode(ids);
  if (line.json) {
    core::Value v = core::Value::object();
    v["prompt"] = prompt;
    v["ids"] = core::Value::array();
    for (uint16_t id : added) v["ids"].push_back(static_cast<int64_t>(id));
    v["text"] = core::is_utf8(text) ? text : core::printable(text, text.size() * 4 + 8);
    std::printf("%s\n", core::to_json(v, 2).c_str());
  } else {
    std::printf("%s\n", text.c_str());
  }
  return 0;
}

}  // namespace assay::cli
