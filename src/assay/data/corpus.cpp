#include "assay/data/corpus.h"

#include <algorithm>

#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/core/random.h"
#include "assay/data/manifest.h"
#include "assay/data/positioned_file.h"

namespace assay::data {
namespace {

enum class Kind { embedded, text, shards };

Kind kind_of(const std::string& path) {
  if (is_embedded(path)) return Kind::embedded;
  return is_text_file(path) && !core::directory_exists(path) ? Kind::text : Kind::shards;
}

// What is neither a name nor a path is more often a misspelt name than a missing file.
void check_exists(const std::string& path) {
  if (path.empty())
    throw core::ConfigError("data", "path: wanted an embedded corpus, a directory or glob of shards, a .txt or .jsonl file; found nothing");
  if (is_embedded(path)) return;
  const bool plain = path.find_first_of("/*?[.") == std::string::npos;
  if (!plain || is_embedded(path) || core::file_exists(path) || core::directory_exists(path)) return;
  std::vector<std::string> known;
  for (const EmbeddedCorpus& c : embedded_corpora()) known.emplace_back(c.name);
  throw core::ConfigError("data", core::unknown_name("corpus", path, known) + "; and there is no such file or directory");
}

std::unique_ptr<Tokenizer> tokenizer_for(const DataConfig& config, Kind kind) {
  if (config.tokenizer != "auto") return open_tokenizer(config.tokenizer);
  return kind == Kind::shards ? tokenizer_beside(config.path) : byte_tokenizer();
}

int64_t vocabulary(const DataConfig& config, const Tokenizer* tokenizer) {
  if (config.vocab_size < 0 || config.vocab_size > 65536) {
    throw core::ConfigError("data", "vocab_size: wanted 0 to 65536, found " + std::to_string(config.vocab_size));
  }
  if (!tokenizer && config.vocab_size == 0) {
    throw core::ConfigError("data", "vocab_size: " + config.path + " has no tokenizer beside it; give data.vocab_size or data.tokenizer");
  }
  if (tokenizer && config.vocab_size != 0 && config.vocab_size < tokenizer->vocab_size()) {
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

void open_training(const DataConfig& config, Kind kind, Corpus& corpus, Paths& paths) {
  if (kind == Kind::embedded) {
    const auto seed = static_cast<uint64_t>(config.corpus_seed);
    corpus.train = tokens_in_memory(generate(config.path, seed, "train", config.corpus_tokens, *corpus.tokenizer).tokens);
    if (config.val_path.empty()) {
      corpus.val = tokens_in_memory(generate(config.path, seed, "val", config.corpus_val_tokens, *corpus.tokenizer).tokens);
    }
  } else if (kind == Kind::shards) {
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

void open_validation(const DataConfig& config, Kind kind, Corpus& corpus, Paths& paths) {
  if (corpus.val) return;
  if (!config.val_path.empty() && kind_of(config.val_path) == Kind::embedded) {
    throw core::ConfigError("data", "val_path: wanted files, found the embedded corpus " + config.val_path);
  }
  if (!config.val_path.empty() && kind_of(config.val_path) == Kind::text) {
    paths.val = {config.val_path};
    check_apart(paths.train, paths.val);
    corpus.val = text_source(read_documents(config.val_path, config.split_paragraphs), corpus, config.val_path);
    return;
  }
  const bool derived = config.val_path.empty() && kind == Kind::shards && !core::directory_exists(config.path);
  paths.val = find_shards(derived ? validation_pattern(config.path) : config.val_path.empty() ? config.path : config.val_path, "val");
  check_apart(paths.train, paths.val);
  corpus.val = open_shards(paths.val, corpus.vocab_size);
}

}  // namespace

const core::Schema& DataConfig::schema() {
  static const core::Schema s = core::declare<DataConfig>(
      "data",
      {
          core::option("path", &DataConfig::path, "an embedded corpus, a directory or glob of shards, a .txt or .jsonl file")
              .env("DATA_PATH")
              .env("TRAIN_PATTERN"),
          core::option("val_path", &DataConfig::val_path, "validation shards or text; empty: derived from path").env("VAL_PATTERN"),
          core::option("tokenizer", &DataConfig::tokenizer, "auto, bytes or a SentencePiece .model file").env("TOKENIZER_PATH"),
          core::option("vocab_size", &DataConfig::vocab_size, "ids of the model; 0: the tokenizer's", 0, 65536).env("VOCAB_SIZE"),
          core::option("corpus_tokens", &DataConfig::corpus_tokens, "training tokens of an embedded corpus", 2, 2147483647),
          core::option("corpus_val_tokens", &DataConfig::corpus_val_tokens, "validation tokens of an embedded corpus", 2, 2147483647),
          core::option("corpus_seed", &DataConfig::corpus_seed, "seed of an embedded corpus", 0, 9007199254740992),
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
  const Kind kind = kind_of(config.path);
  Corpus corpus;
  corpus.name = config.path;
  corpus.tokenizer = tokenizer_for(config, kind);
  corpus.vocab_size = vocabulary(config, corpus.tokenizer.get());
  Paths paths;
  open_training(config, kind, corpus, paths);
  open_validation(config, kind, corpus, paths);
  corpus.hash = core::hash128_hex(corpus.train->hash() + corpus.val->hash() + (corpus.tokenizer ? corpus.tokenizer->hash() : ""));
  return corpus;
}

}  // namespace assay::data
