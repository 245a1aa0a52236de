#include "assay/data/corpus.h"

#include <algorithm>
#include <limits>

#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/core/log.h"
#include "assay/core/random.h"
#include "assay/data/generator.h"
#include "assay/data/images.h"
#include "assay/data/manifest.h"
#include "assay/data/positioned_file.h"
#include "assay/data/source_kind.h"
#include "assay/data/tasks.h"

namespace assay::data {
namespace {

// What is neither a name nor a path is more often a misspelt name than a missing file.
void check_exists(const std::string& path) {
  if (path.empty())
    throw core::ConfigError(
        "data",
        "path: wanted an embedded corpus, a directory or glob of shards, a .txt or .jsonl file, a directory of CIFAR-10; found nothing");
  if (is_embedded(path)) return;
  const bool plain = path.find_first_of("/*?[.") == std::string::npos;
  if (!plain || is_embedded(path) || core::file_exists(path) || core::directory_exists(path)) return;
  std::vector<std::string> known;
  for (const EmbeddedCorpus& c : embedded_corpora()) known.emplace_back(c.name);
  throw core::ConfigError("data", core::unknown_name("corpus", path, known) + "; and there is no such file or directory");
}

Generator generator_of(const DataConfig& config) {
  Generator g;
  g.corpus = config.path;
  g.seed = static_cast<uint64_t>(config.corpus_seed);
  g.grammar = {config.grammar_words, config.grammar_depth};
  if (const auto task = find_task(config.path)) {
    if (config.vocab_size > 0 && config.vocab_size < task->vocab)
      throw core::ConfigError("data", "vocab_size: wanted 0 or at least the " + std::to_string(task->vocab) + " symbols of " + config.path +
                                          ", found " + std::to_string(config.vocab_size));
    g.symbols = task->vocab;
  }
  if (config.vocab_size > 0) g.symbols = config.vocab_size;
  return g;
}

std::unique_ptr<Tokenizer> tokenizer_for(const DataConfig& config, SourceKind kind) {
  if (kind == SourceKind::images || (kind == SourceKind::embedded && !generator_of(config).has_text())) {
    if (config.tokenizer == "auto") return nullptr;
    throw core::ConfigError("data", "tokenizer: wanted auto, because " + config.path + " holds no text; found " + config.tokenizer);
  }
  if (kind == SourceKind::embedded && config.tokenizer == "words") return word_tokenizer(config.grammar_words);
  if (config.tokenizer != "auto") return open_tokenizer(config.tokenizer);
  return kind == SourceKind::shards ? tokenizer_beside(config.path) : byte_tokenizer();
}

// Shards that a generator without text made say how many symbols it has.
int64_t symbols_of(const DataConfig& config, SourceKind kind) {
  if (kind == SourceKind::images && config.vocab_size > 0 && config.vocab_size < kImageVocab)
    throw core::ConfigError("data", "vocab_size: wanted 0 or at least the " + std::to_string(kImageVocab) + " symbols of images, found " +
                                        std::to_string(config.vocab_size));
  if (config.vocab_size > 0) return config.vocab_size;
  if (kind == SourceKind::text) return 0;
  if (kind == SourceKind::images) return kImageVocab;
  if (kind == SourceKind::embedded) return generator_of(config).symbols;
  const auto g = Generator::from(source_beside(config.path));
  return g && !g->has_text() ? g->symbols : 0;
}

int64_t vocabulary(const DataConfig& config, SourceKind kind, const Tokenizer* tokenizer) {
  if (config.vocab_size < 0 || config.vocab_size > 65536) {
    throw core::ConfigError("data", "vocab_size: wanted 0 to 65536, found " + std::to_string(config.vocab_size));
  }
  if (!tokenizer) {
    if (const int64_t symbols = symbols_of(config, kind)) return symbols;
    throw core::ConfigError("data", "vocab_size: " + config.path + " has no tokenizer beside it; give data.vocab_size or data.tokenizer");
  }
  if (config.vocab_size != 0 && config.vocab_size < tokenizer->vocab_size()) {
    throw core::ConfigError("data", "vocab_size: wanted 0 or at least " + std::to_string(tokenizer->vocab_size()) + " (" +
                                        tokenizer->description() + "), found " + std::to_string(config.vocab_size));
  }
  return config.vocab_size != 0 ? config.vocab_size : tokenizer->vocab_size();
}

const Tokenizer& wanted(const Corpus& corpus, const std::string& path) {
  if (corpus.tokenizer) return *corpus.tokenizer;
  throw core::ConfigError("data", "tokenizer: " + path + " is text, and the training shards have no tokenizer beside them");
}

std::unique_ptr<TokenSource> text_source(const std::vector<std::string>& documents, const Corpus& corpus, const std::string& path) {
  return tokens_in_memory(tokenize(documents, wanted(corpus, path)).tokens);
}

// The validation files that belong to training files given by name or glob: the name's "_train_..." becomes "_val_*".
std::string validation_pattern(const std::string& path) {
  const size_t name = path.find_last_of('/') + 1;  // npos + 1 is 0
  const size_t at = path.find("_train_", name);
  if (at == std::string::npos) {
    throw core::ConfigError("data", "val_path: wanted, because the name of " + path + " has no _train_ that _val_ could replace");
  }
  return path.substr(0, at) + "_val_*.bin";
}

[[noreturn]] void refuse_overlap(const std::string& train, const std::string& val) {
  throw core::ConfigError("data", "val_path: " + val + " is the training file " + train + "; a loss on it would not be a validation loss");
}

void check_apart(const std::vector<std::string>& train, const std::vector<std::string>& val) {
  for (const std::string& t : train) {
    for (const std::string& v : val) {
      if (same_file(t, v)) refuse_overlap(t, v);
    }
  }
}

struct Paths {
  std::vector<std::string> train, val;  // files; empty for what is generated
};

void open_training(const DataConfig& config, SourceKind kind, Corpus& corpus, Paths& paths) {
  if (kind == SourceKind::embedded) {
    const Generator g = generator_of(config);
    const int64_t tokens = config.corpus_tokens > 0 ? config.corpus_tokens : kCorpusTokens;
    corpus.train = tokens_in_memory(generate(g, "train", tokens, corpus.tokenizer.get()).tokens);
    if (config.val_path.empty()) {
      Validation val = generate_validation(g, config.corpus_val_tokens, corpus.tokenizer.get());
      corpus.val = tokens_in_memory(std::move(val.text.tokens));
      corpus.val_entropy = std::move(val.entropy);
    }
  } else if (kind == SourceKind::images) {
    if (!config.val_path.empty())
      throw core::ConfigError(
          "data", "val_path: wanted empty, because " + config.path + " has a test_batch.bin of its own; found " + config.val_path);
    corpus.train = open_cifar10(config.path, "train");
    corpus.val = open_cifar10(config.path, "val");
  } else if (kind == SourceKind::shards) {
    paths.train = find_shards(config.path, "train");
    corpus.train = open_shards(paths.train, corpus.vocab_size);
  } else {
    paths.train = {config.path};
    std::vector<std::string> documents = read_documents(config.path, config.split_paragraphs);
    if (!config.val_path.empty()) {
      corpus.train = text_source(documents, corpus, config.path);
      return;
    }
    if (documents.size() < 2 || config.val_fraction <= 0) {
      throw core::ConfigError("data", "val_path: wanted, because " + config.path + " holds " + std::to_string(documents.size()) +
                                          (documents.size() == 1 ? " document" : " documents") +
                                          " and val_fraction leaves none for validation");
    }
    const auto [train, val] = split_documents(std::move(documents), config.val_fraction);
    corpus.train = text_source(train, corpus, config.path);
    corpus.val = text_source(val, corpus, config.path);
  }
}

// Of validation shards that `data make` wrote: what is known about the same tokens generated once more.
void recall_entropy(const std::string& path, Corpus& corpus) {
  const core::Value source = source_beside(path);
  const core::Value* name = source.is_object() ? source.find("corpus") : nullptr;
  if (!name) return;
  const auto g = Generator::from(source);
  if (g && (corpus.tokenizer || !g->has_text())) {
    Validation val = generate_validation(*g, static_cast<int64_t>(corpus.val->size()), corpus.tokenizer.get());
    if (tokens_in_memory(std::move(val.text.tokens))->hash() == corpus.val->hash()) {
      corpus.val_entropy = std::move(val.entropy);
      return;
    }
  }
  core::warn("data: " + path + ": these validation tokens are not what its manifest's source generates; nothing is known about them");
}

void open_validation(const DataConfig& config, SourceKind kind, Corpus& corpus, Paths& paths) {
  if (corpus.val) return;
  const SourceKind val = config.val_path.empty() ? SourceKind::shards : source_kind(config.val_path);
  if (val == SourceKind::embedded || val == SourceKind::images) {
    throw core::ConfigError("data", "val_path: wanted shards or a text, found " +
                                        std::string(val == SourceKind::images ? "the images of " : "the embedded corpus ") +
                                        config.val_path);
  }
  if (val == SourceKind::text) {
    paths.val = {config.val_path};
    check_apart(paths.train, paths.val);
    corpus.val = text_source(read_documents(config.val_path, config.split_paragraphs), corpus, config.val_path);
    return;
  }
  const bool derived = config.val_path.empty() && kind == SourceKind::shards && !core::directory_exists(config.path);
  paths.val = find_shards(derived ? validation_pattern(config.path) : config.val_path.empty() ? config.path : config.val_path, "val");
  check_apart(paths.train, paths.val);
  corpus.val = open_shards(paths.val, corpus.vocab_size);
  recall_entropy(paths.val.front(), corpus);
}

}  // namespace

int64_t corpus_tokens_for(int64_t budget_tokens, int64_t seq_len) {
  // The order "sequential" reads one more token a batch than it has targets, which is at most one more a row.
  const int64_t most = std::numeric_limits<int32_t>::max();
  const int64_t rows = budget_tokens / seq_len + (budget_tokens % seq_len != 0);
  return rows > (most - 1) / (seq_len + 1) ? most : std::max<int64_t>(rows, 1) * (seq_len + 1) + 1;
}

const core::Schema& DataConfig::schema() {
  static const core::Schema s = core::declare<DataConfig>(
      "data",
      {
          core::option("path", &DataConfig::path,
                       "an embedded corpus, a directory or glob of shards, a .txt or .jsonl file, a directory of CIFAR-10")
              .env("DATA_PATH")
              .env("TRAIN_PATTERN"),
          core::option("val_path", &DataConfig::val_path, "validation shards or text; empty: derived from path").env("VAL_PATTERN"),
          core::option("tokenizer", &DataConfig::tokenizer, "auto, bytes, words (of the grammar) or a SentencePiece .model file")
              .env("TOKENIZER_PATH"),
          core::option("vocab_size", &DataConfig::vocab_size, "ids of the model; 0: the tokenizer's", 0, 65536).env("VOCAB_SIZE"),
          core::option("corpus_tokens", &DataConfig::corpus_tokens, "training tokens of an embedded corpus; 0: what the run reads", 0,
                       2147483647),
          core::option("corpus_val_tokens", &DataConfig::corpus_val_tokens, "validation tokens of an embedded corpus", 2, 2147483647),
          core::option("corpus_seed", &DataConfig::corpus_seed, "seed of an embedded corpus", 0, 9007199254740992),
          core::option("grammar_words", &DataConfig::grammar_words, "words in the grammar's lexicon", kLeastGrammarWords,
                       kMostGrammarWords),
          core::option("grammar_depth", &DataConfig::grammar_depth, "how deep the grammar's clauses nest", 0, kMostGrammarDepth),
          core::option("val_fraction", &DataConfig::val_fraction, "share of a text file's documents for validation", 0.0, 0.5),
          core::option("split_paragraphs", &DataConfig::split_paragraphs, "a blank line ends a document of a .txt file"),
          core::option("order", &DataConfig::order, "order of training windows").one_of({"shuffled", "sequential", "blocks"}),
      });
  return s;
}

std::pair<std::vector<std::string>, std::vector<std::string>> split_documents(std::vector<std::string> documents, double fraction) {
  if (documents.size() < 2 || fraction <= 0) return {std::move(documents), std::vector<std::string>()};
  const core::Stream stream(0, "data/validation split");
  std::vector<double> draw(documents.size());
  for (size_t i = 0; i < draw.size(); ++i) draw[i] = stream.uniform(i);
  // The smallest draw is always validation and the largest always training: neither side is empty.
  const auto [least, most] = std::minmax_element(draw.begin(), draw.end());
  const size_t first_val = static_cast<size_t>(least - draw.begin()), first_train = static_cast<size_t>(most - draw.begin());
  std::pair<std::vector<std::string>, std::vector<std::string>> out;
  for (size_t i = 0; i < documents.size(); ++i) {
    const bool val = i == first_val || (draw[i] < fraction && i != first_train);
    (val ? out.second : out.first).push_back(std::move(documents[i]));
  }
  return out;
}

Corpus open_corpus(const DataConfig& config) {
  check_exists(config.path);
  const SourceKind kind = source_kind(config.path);
  if (kind == SourceKind::shards &&
      !core::file_exists(find_shards(config.path, "train").front()))  // before what stands beside them is asked for
    throw core::ConfigError("data", "path: " + config.path + " does not exist");
  Corpus corpus;
  corpus.name = config.path;
  corpus.tokenizer = tokenizer_for(config, kind);
  corpus.vocab_size = vocabulary(config, kind, corpus.tokenizer.get());
  Paths paths;
  open_training(config, kind, corpus, paths);
  open_validation(config, kind, corpus, paths);
  corpus.hash = core::hash128_hex(corpus.train->hash() + corpus.val->hash() + (corpus.tokenizer ? corpus.tokenizer->hash() : ""));
  return corpus;
}

}  // namespace assay::data
