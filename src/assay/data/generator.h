#pragma once
#include <numbers>
#include <optional>

#include "assay/core/value.h"
#include "assay/data/corpus.h"

namespace assay::data {

// An embedded corpus with everything that its text depends on, apart from split and amount.
struct Generator {
  std::string corpus = "grammar";
  uint64_t seed = 1;
  GrammarOptions grammar;
  int64_t symbols = 256;  // of "uniform"

  core::Value describe() const;                                     // the manifest's `source`
  static std::optional<Generator> from(const core::Value& source);  // none: another source, or one that is not described fully
  bool has_text() const { return corpus == "grammar"; }
};

// A document's last mark follows from its text and its split (data/grammar.h), so that given the split a document is worth this much less
// than the grammar says. Left in, whoever could invert the hash would pay less than the text is said to be worth, without any leak.
inline constexpr double kSplitNats = std::numbers::ln2;

// The first `tokens` tokens of the split; the last document may be cut. `tokenizer` is null for a corpus without text.
Tokenized generate(const Generator& generator, std::string_view split, int64_t tokens, const Tokenizer* tokenizer);

// The validation split: whole documents, each with the bos before it, up to the first boundary at `tokens` tokens or beyond, and the bos
// that ends the last document. `entropy` is empty where the tokenizer has no bos, or does not give the text back (with a warning).
struct Validation {
  Tokenized text;
  std::optional<KnownEntropy> entropy;
};
Validation generate_validation(const Generator& generator, int64_t tokens, const Tokenizer* tokenizer);

}  // namespace assay::data
