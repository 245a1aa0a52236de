#include <algorithm>
#include <cstdio>

#include "assay/audit/checks.h"
#include "assay/train/evaluate.h"

namespace assay::audit {
namespace {

constexpr int64_t kUpdates = 60, kScoredWindows = 64;

std::string sentence(const stats::EntropyRule& rule) {
  char text[300];
  std::snprintf(
      text, sizeof text,
      "pays %.1f nats for %lld tokens that are worth %.1f (%.4f a token against %.4f): it sees what it predicts; without a leak this "
      "happens with a chance below 1e-6",
      rule.model_nats, static_cast<long long>(rule.symbols), rule.generator_nats, rule.model_loss(), rule.entropy());
  return text;
}

void judge(const Subject& s, const arch::Built& b, const data::Corpus& corpus, const std::string& what, CheckResult& r) {
  const int64_t T = std::min<int64_t>(s.seq_len(), 128);
  const train::Evaluation e =
      train::evaluate(b, {*corpus.val, nullptr, corpus.val_entropy ? &*corpus.val_entropy : nullptr, T, 8, kScoredWindows * T});
  if (e.entropy && e.entropy->refuted()) r.findings.push_back({what, sentence(*e.entropy)});
}

// As many updates as fit a minute of a small model, on the corpus's own training windows.
arch::Built trained_on(const Subject& s, const data::Corpus& corpus) {
  arch::Built b = s.build();
  const auto optimizer = optim::make_optimizer(*b.params, s.config().optim);
  const int64_t T = std::min<int64_t>(s.seq_len(), 128);
  const data::Loader loader(*corpus.train, 4, T, data::Loader::Order::shuffled, s.seed());
  for (int64_t n = 0; n < kUpdates; ++n) {
    const train::Batch batch = train::to_batch(loader.batch(n), s.device());
    train::training_step(b, *optimizer, {&batch, 1}, s.config().optim.lr, s.config().optim.clip, {n}, s.training_pass(n));
  }
  return b;
}

data::Corpus uniform_corpus(const Subject& s) {
  data::DataConfig config;
  config.path = "uniform";
  config.vocab_size = s.vocab();
  config.corpus_seed = s.config().train.seed;
  config.corpus_tokens = 4 * kUpdates * 128 + 1;
  config.corpus_val_tokens = kScoredWindows * 128 + 1;
  return data::open_corpus(config);
}

}  // namespace

void check_uniform_tokens(const Subject& s, CheckResult& r) {
  r.note = "after training on independent uniform tokens, new ones cost at least n ln V";
  const data::Corpus corpus = uniform_corpus(s);
  judge(s, trained_on(s, corpus), corpus, "uniform tokens", r);
  for (const Subject::Weights& w : s.weights()) judge(s, *w.built, corpus, "uniform tokens (" + w.name + " weights)", r);
}

void check_known_text(const Subject& s, CheckResult& r) {
  r.note = "after training on the grammar corpus, new text costs at least what its generator knows it to be worth";
  data::DataConfig config;
  config.path = "grammar";
  config.corpus_tokens = 200000;
  config.corpus_val_tokens = kScoredWindows * 128;
  config.vocab_size = std::max<int64_t>(s.vocab(), 260);
  if (s.vocab() < 260) {
    r.skipped = true;
    r.note = "a vocabulary of " + std::to_string(s.vocab()) + " cannot hold the bytes of the grammar corpus";
    return;
  }
  const data::Corpus corpus = data::open_corpus(config);
  judge(s, trained_on(s, corpus), corpus, "grammar", r);
}

}  // namespace assay::audit
