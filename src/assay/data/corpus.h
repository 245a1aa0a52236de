#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "assay/core/options.h"
#include "assay/data/grammar.h"
#include "assay/data/known_entropy.h"
#include "assay/data/shards.h"
#include "assay/data/tokenizer.h"

namespace assay::data {

struct DataConfig {
  std::string path = "grammar";    // an embedded corpus, a directory or glob of shards, a .txt or .jsonl file
  std::string val_path;            // validation shards or text; empty: derived from path
  std::string tokenizer = "auto";  // auto: the embedded corpus's own, a .model beside the shards, else bytes
  int64_t vocab_size = 0;          // 0: the tokenizer's; shards without a tokenizer need it
  int64_t corpus_tokens = 0;       // embedded corpora: training tokens; 0: as many as the run reads (`corpus_tokens_for`)
  int64_t corpus_val_tokens = 200000;
  int64_t corpus_seed = 1;
  int64_t grammar_words = 100;  // the grammar's lexicon and nesting (data/grammar.h)
  int64_t grammar_depth = 2;
  double val_fraction = 0.05;           // of the documents of a .txt or .jsonl file, by a hash of each document's position
  bool split_paragraphs = true;         // a blank line ends a document of a .txt file; false: the file is one document
  std::string order = "shuffled";       // shuffled | sequential | blocks (data/loader.h)
  static const core::Schema& schema();  // section "data"; environment names DATA_PATH, TOKENIZER_PATH, VOCAB_SIZE, ...
};

// Everything a run reads.
struct Corpus {
  std::string name;  // for people
  std::unique_ptr<TokenSource> train, val;
  std::unique_ptr<Tokenizer> tokenizer;  // null: shards without one
  int64_t vocab_size = 0;
  std::string hash;                         // of the contents and the tokenizer, 32 hex digits
  std::optional<KnownEntropy> val_entropy;  // where the generator of the validation tokens is known
};

// Training tokens of an embedded corpus where nobody says how many.
inline constexpr int64_t kCorpusTokens = 4'000'000;
// The training tokens with which a run that reads `budget_tokens` targets in rows of `seq_len` sees none twice, in whatever order.
int64_t corpus_tokens_for(int64_t budget_tokens, int64_t seq_len);

// `corpus_tokens` 0 is kCorpusTokens here: who knows the run's budget puts `corpus_tokens_for` into the configuration first.
// DataError / ConfigError that names the file and what was wanted: nothing there, an empty file, a directory without shards, an id
// beyond the vocabulary, text that is not UTF-8 (with the byte offset), train and validation that are the same file.
Corpus open_corpus(const DataConfig& config);

// Documents of a text source: .txt (documents are separated by blank lines when `split_paragraphs`, else the file is one), or .jsonl
// (one object a line with the string field "text"; other fields are ignored). Each is valid UTF-8. DataError names file, line or byte.
std::vector<std::string> read_documents(const std::string& path, bool split_paragraphs = false);
bool is_text_file(std::string_view path);  // by its name

// Puts about `fraction` of the documents into the second list, by a hash of each document's position; with two documents or more and a
// fraction above 0 neither list is empty.
std::pair<std::vector<std::string>, std::vector<std::string>> split_documents(std::vector<std::string> documents, double fraction);

// Documents as tokens: bos (where the tokenizer has one) before each, nothing after.
struct Tokenized {
  std::vector<uint16_t> tokens;
  uint64_t documents = 0;
};
Tokenized tokenize(const std::vector<std::string>& documents, const Tokenizer& tokenizer);
void append(std::vector<uint16_t>& tokens, std::string_view document, const Tokenizer& tokenizer);

struct EmbeddedCorpus {
  const char* name;
  const char* summary;
};
std::vector<EmbeddedCorpus> embedded_corpora();
bool is_embedded(std::string_view name);

}  // namespace assay::data
