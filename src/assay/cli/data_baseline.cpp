#include <algorithm>
#include <cstdio>
#include <numeric>

#include "assay/cli/data_actions.h"
#include "assay/core/error.h"
#include "assay/data/corpus.h"
#include "assay/data/ngram.h"

namespace assay::cli::data_command {
namespace {

using core::Value;

// Nats a token of the tokens whose probability the generator knows.
Value entropy_of(const data::Corpus& corpus) {
  if (!corpus.val_entropy || corpus.val_entropy->ends.empty()) return {};
  const data::KnownEntropy& known = *corpus.val_entropy;
  return std::accumulate(known.nats.begin(), known.nats.end(), 0.0) / static_cast<double>(known.ends.back() - 1);
}

std::unique_ptr<data::TokenSource> beginning(const data::TokenSource& source, int64_t tokens) {
  std::vector<uint16_t> first(tokens > 0 ? std::min<uint64_t>(source.size(), static_cast<uint64_t>(tokens)) : source.size());
  source.read(0, first.size(), first.data());
  return data::tokens_in_memory(std::move(first));
}

Value loss_of(int64_t order, const data::TokenSource& train, const data::Corpus& corpus) {
  data::NGram model(static_cast<int>(order), corpus.vocab_size);
  model.add(train);
  Value out = Value::object();
  out["order"] = order;
  out["loss"] = model.mean_nats(*corpus.val);
  return out;
}

}  // namespace

int run_baseline(const Arguments& args) {
  CommandLine line("data baseline", "What n-gram models with interpolated modified Kneser-Ney smoothing reach, in nats a token.");
  data::DataConfig config;
  int64_t order = 5, tokens = 0;
  line.positional("PATH", config.path, "an embedded corpus, a directory or glob of shards, a text file");
  line.option("--order", order, "the longest n-gram, 1 to 16 (5)");
  line.option("--tokens", tokens, "training tokens that are counted, from the beginning; 0: all (0)");
  line.option("--vocab-size", config.vocab_size, "for shards without a tokenizer");
  line.option("--tokenizer", config.tokenizer, "as data.tokenizer (auto)");
  if (!line.parse(args)) return 0;
  check_range("--order", order, 1, 16);
  check_range("--tokens", tokens, 0, 2147483647);
  if (data::is_embedded(config.path)) config.corpus_tokens = tokens;
  const data::Corpus corpus = data::open_corpus(config);
  const auto train = beginning(*corpus.train, tokens);
  Value out = Value::object();
  out["path"] = config.path;
  out["tokens"] = train->size();
  out["val_tokens"] = corpus.val->size() - 1;
  out["entropy"] = entropy_of(corpus);
  out["orders"] = Value::array();
  for (int64_t n = 1; n <= order; ++n) out["orders"].push_back(loss_of(n, *train, corpus));
  line.json ? print_json(out) : print_lines(out, "");
  return 0;
}

}  // namespace assay::cli::data_command
