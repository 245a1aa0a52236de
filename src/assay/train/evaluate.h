#pragma once
#include <map>
#include <optional>

#include "assay/data/byte_count.h"
#include "assay/data/corpus.h"
#include "assay/stats/entropy_rule.h"
#include "assay/train/session.h"

namespace assay::train {

// Losses are computed from the logits here, not by the model's own loss, so that a mistake in that one cannot flatter a validation.
struct Evaluation {
  double loss = 0;  // nats a token, over the positions that count
  int64_t tokens = 0;
  // Share of the positions that count at which the target has the largest logit, and of the windows at which all of them do; none where the
  // losses did not come from logits.
  std::optional<double> accuracy, exact_windows;
  // Where there is a tokenizer and every position counts: total / ln 2 / bytes, by the tokenizer's byte table [vocab-space 6]; `bytes` says
  // how that compares with the text itself.
  std::optional<double> bits_per_byte;
  std::optional<data::ByteCount> bytes;

  // Totals of the pieces that were scored whole: the documents of a known generator, or of text with a symbol before each document; else
  // windows.
  struct Piece {
    int64_t tokens = 0;
    double nats = 0;
  };
  std::string piece_kind;  // "document", "window"
  std::vector<Piece> pieces;

  // Where the generator is known and every position counts:
  std::optional<stats::EntropyRule> entropy;
  std::vector<double> generator_nats;  // of each piece
  struct AgreementLoss {
    int64_t words = 0;
    double nats = 0;  // total over the words
  };
  std::map<int32_t, AgreementLoss> agreement;  // by distance in words

  core::Value to_value() const;  // what validation.json holds (docs/run-directory.md)
};

// `rows` windows of `seq_len` targets at a time over the first `max_tokens` targets (rounded down to whole windows; 0 = all); where the
// generator of the tokens is known, `known` is given and a last, shorter window scores the remaining symbols too. DataError where not
// even one window is full.
struct EvaluationRequest {
  const data::TokenSource& tokens;
  const data::Tokenizer* tokenizer = nullptr;
  const data::KnownEntropy* known = nullptr;
  int64_t seq_len = 0, rows = 0, max_tokens = 0;
};
Evaluation evaluate(const arch::Built& built, const EvaluationRequest& request);

// The same from losses that are known: those of the first `scored_tokens` tokens after token 0, NaN where one does not count.
Evaluation evaluation_of(const EvaluationRequest& request, std::vector<double> nats);
int64_t scored_tokens(const EvaluationRequest& request);

// validation.json of a run directory.
void write_validation(const std::string& run_directory, const Evaluation& e, int64_t step);

}  // namespace assay::train
