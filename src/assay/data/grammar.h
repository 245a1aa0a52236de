#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace assay::data {

// The embedded corpus "grammar": short English-like documents from a seeded probabilistic grammar (docs/corpus.md). Every text has
// exactly one derivation, so its exact probability is the product of the probabilities of its choices.
struct GrammarOptions {
  int64_t words = 100;  // size of the lexicon: how many words (not counting their forms) are chosen from
  int64_t depth = 2;    // how deep clauses nest in clauses
  bool operator==(const GrammarOptions&) const = default;
};
inline constexpr int64_t kLeastGrammarWords = 56, kMostGrammarWords = 4096, kMostGrammarDepth = 4;

struct GrammarDocument {
  std::string text;
  double nats = 0;  // -log of the text's probability under the grammar

  // A word that must agree with an earlier one: bytes [first, end), `distance` words behind the word that decides (1: the next word).
  struct Agreement {
    uint32_t first = 0, end = 0;
    int32_t distance = 0;
  };
  std::vector<Agreement> agreements;  // by position
};

class Grammar {
 public:
  explicit Grammar(const GrammarOptions& options);  // ConfigError where an option is out of range
  ~Grammar();
  Grammar(const Grammar&) = delete;
  Grammar& operator=(const Grammar&) = delete;

  // Document `index` of (seed, split), a function of these. Split "train" and split "val" have no text in common: a document ends in
  // "." or "!", each with probability 1/2, and a hash of the text before it says which of the two belongs to which split. `nats` is of
  // the grammar itself, which gives both marks; given the split it would be log 2 less, for whoever can invert the hash.
  GrammarDocument document(uint64_t seed, std::string_view split, uint64_t index) const;

  // All derivations of a text: how many, and -log of the sum of their probabilities (infinity where there is none).
  struct Derivations {
    uint64_t count = 0;
    double nats = 0;
  };
  Derivations rederive(std::string_view text) const;

  // Every word that a document may contain, in its forms, as it is written inside a sentence; sorted, each once.
  std::vector<std::string> words() const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

// The split that a text of the grammar belongs to: "train" or "val".
std::string_view grammar_split(std::string_view text);

// With a Grammar of the options that is made once and kept. Thread-safe.
GrammarDocument grammar_document(const GrammarOptions& options, uint64_t seed, std::string_view split, uint64_t index);
Grammar::Derivations rederive(const GrammarOptions& options, std::string_view text);
const Grammar& shared_grammar(const GrammarOptions& options);

}  // namespace assay::data
