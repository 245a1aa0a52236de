#include <algorithm>
#include <cstdio>
#include <limits>
#include <utility>

#include "assay/cli/commands.h"
#include "assay/cli/data_actions.h"
#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/core/options.h"
#include "assay/data/generator.h"
#include "assay/data/manifest.h"
#include "assay/data/path.h"
#include "assay/data/utf8.h"

namespace assay::cli::data_command {

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }
void print_json(const core::Value& v) { print(core::to_json(v, 2) + "\n"); }

void check_range(const char* flag, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return;
  throw core::ConfigError(
      "data", std::string(flag) + ": wanted " + std::to_string(least) + " to " + std::to_string(most) + ", found " + std::to_string(value));
}

void check_given(const CommandLine& line, const char* flag, const char* what) {
  if (!line.given(flag)) throw core::ConfigError("data", std::string(flag) + ": wanted " + what + "; it is missing");
}

void print_lines(const core::Value& object, const std::string& indent) {
  for (const auto& [key, value] : object.as_object()) {
    if (value.is_array()) {
      for (const core::Value& element : value.as_array()) print_lines(element, indent + "  ");
    } else if (value.is_object()) {
      print(indent + key + ":\n");
      print_lines(value, indent + "  ");
    } else {
      print(indent + key + ": " +
            (value.is_string() ? core::printable(value.as_string())
             : value.is_null() ? "none"
                               : core::to_json(value)) +
            "\n");
    }
  }
}

namespace {

using core::ConfigError;
using core::Value;

constexpr int64_t kMostTokens = std::numeric_limits<int32_t>::max();

std::string words(const data::Tokenizer& t) { return t.description() + ", " + std::to_string(t.vocab_size()) + " ids"; }

// make and encode

struct Output {
  std::string directory, tokenizer = "bytes";
  bool force = false;
  void declare(CommandLine& line) {
    line.option("--out", directory, "directory for the shards and manifest.json");
    line.option("--tokenizer", tokenizer, "bytes, words, words:N or a SentencePiece .model file (bytes)");
    line.flag("--force", force, "replace shards of the same name");
  }
  std::string model() const { return tokenizer == "bytes" || tokenizer == "words" || tokenizer.starts_with("words:") ? "" : tokenizer; }
};

void write(data::Dataset& dataset, const data::Tokenizer* tokenizer, const Output& output, bool json) {
  dataset.tokenizer = tokenizer;
  dataset.model_path = output.model();
  const Value manifest = data::write_dataset(core::real_files(), dataset, output.directory, output.force);
  Value result = Value::object();
  result["out"] = output.directory;
  for (const auto& [key, value] : manifest.as_object()) result[key] = value;
  if (json) return print_json(result);
  for (const auto& [split, value] : manifest.at("splits").as_object()) {
    print(split + ": " + std::to_string(value.at("tokens").as_int()) + " tokens, " + std::to_string(value.at("documents").as_int()) +
          " documents, " + std::to_string(value.at("shards").size()) + " shards\n");
  }
  print("written to " + core::printable(output.directory) +
        (tokenizer ? ", tokenizer " + words(*tokenizer) : std::string(", no tokenizer")) + "\n");
}

// A model file for the grammar; for words, the ones that the grammar is told to use.
std::unique_ptr<data::Tokenizer> tokenizer_for(const data::Generator& g, const Output& output, bool given) {
  if (!g.has_text()) {
    if (given) throw ConfigError("data", "--tokenizer: " + g.corpus + " holds no text");
    return nullptr;
  }
  return output.tokenizer == "words" ? data::word_tokenizer(g.grammar.words) : data::open_tokenizer(output.tokenizer);
}

void check_corpus(const std::string& corpus) {
  if (data::is_embedded(corpus)) return;
  Arguments known;
  for (const data::EmbeddedCorpus& c : data::embedded_corpora()) known.emplace_back(c.name);
  throw ConfigError("data", core::unknown_name("corpus", corpus, known));
}

int run_make(const Arguments& args) {
  CommandLine line("data make", "Write an embedded corpus as shards.");
  data::Generator g;
  Output output;
  int64_t tokens = data::kCorpusTokens, val_tokens = 200000, seed = 1;
  line.positional("CORPUS", g.corpus, "an embedded corpus (`assay list corpora`)");
  output.declare(line);
  line.option("--tokens", tokens, "training tokens (4000000)");
  line.option("--val-tokens", val_tokens, "validation tokens, rounded up to whole documents; 0: none (200000)");
  line.option("--seed", seed, "seed of the text (1)");
  line.option("--grammar-words", g.grammar.words, "grammar: words in the lexicon (100)");
  line.option("--grammar-depth", g.grammar.depth, "grammar: how deep clauses nest (2)");
  line.option("--vocab-size", g.symbols, "uniform: symbols (256)");
  if (!line.parse(args)) return 0;
  check_corpus(g.corpus);
  check_given(line, "--out", "a directory");
  check_range("--tokens", tokens, 1, kMostTokens);
  check_range("--val-tokens", val_tokens, 0, kMostTokens);
  check_range("--seed", seed, 0, std::numeric_limits<int64_t>::max());
  check_range("--grammar-words", g.grammar.words, data::kLeastGrammarWords, data::kMostGrammarWords);
  check_range("--grammar-depth", g.grammar.depth, 0, data::kMostGrammarDepth);
  check_range("--vocab-size", g.symbols, 1, 65536);
  g.seed = static_cast<uint64_t>(seed);
  const auto tokenizer = tokenizer_for(g, output, line.given("--tokenizer"));
  data::check_output(output.directory, g.corpus, output.model(), output.force);
  data::Dataset dataset;
  dataset.name = g.corpus;
  dataset.source = g.describe();
  dataset.splits.emplace_back("train", data::generate(g, "train", tokens, tokenizer.get()));
  if (val_tokens > 0) dataset.splits.emplace_back("val", data::generate_validation(g, val_tokens, tokenizer.get()).text);
  write(dataset, tokenizer.get(), output, line.json);
  return 0;
}

void check_name(const std::string& name) {
  const bool unfit = name.empty() || name.front() == '.' || name.find_first_of("/*?[") != std::string::npos ||
                     name.find("_train_") != std::string::npos || name.find("_val_") != std::string::npos;
  if (unfit)
    throw ConfigError("data", "--name: wanted a file name without . at its beginning, / * ? [ _train_ and _val_; found '" + name + "'");
}

int run_encode(const Arguments& args) {
  CommandLine line("data encode", "Write text files as shards, bos before each document.");
  Arguments files;
  Output output;
  std::string name;
  double val_fraction = 0;
  bool split_paragraphs = false;
  line.rest("FILES", files, ".txt files (one document each) or .jsonl files (one a line, in the field \"text\")");
  output.declare(line);
  line.option("--name", name, "name of the shards (the first file's)");
  line.option("--val-fraction", val_fraction, "share of the documents that becomes validation shards (0)");
  line.flag("--split-paragraphs", split_paragraphs, "a blank line ends a document of a .txt file");
  if (!line.parse(args)) return 0;
  check_given(line, "--out", "a directory");
  if (!line.given("--name")) name = data::base_name(files.front()).substr(0, data::base_name(files.front()).rfind('.'));
  check_name(name);
  if (!(val_fraction >= 0 && val_fraction <= 0.5))
    throw ConfigError("data", "--val-fraction: wanted 0 to 0.5, found " + std::to_string(val_fraction));
  const auto tokenizer = data::open_tokenizer(output.tokenizer);
  data::check_output(output.directory, name, output.model(), output.force);
  Arguments documents;
  data::Dataset dataset;
  dataset.name = name;
  for (const std::string& file : files) {
    for (std::string& d : data::read_documents(file, split_paragraphs)) documents.push_back(std::move(d));
    dataset.source["files"].push_back(data::base_name(file));
  }
  const auto [train, val] = data::split_documents(std::move(documents), val_fraction);
  dataset.splits.emplace_back("train", data::tokenize(train, *tokenizer));
  if (!val.empty()) dataset.splits.emplace_back("val", data::tokenize(val, *tokenizer));
  write(dataset, tokenizer.get(), output, line.json);
  return 0;
}

// decode

int run_decode(const Arguments& args) {
  CommandLine line("data decode", "Print the text of a shard.");
  std::string shard, name = "auto";
  int64_t offset = 0, count = -1;
  line.positional("SHARD", shard, "a shard");
  line.option("--tokenizer", name, "bytes, a SentencePiece .model file, or auto: what lies beside the shard (auto)");
  line.option("--offset", offset, "first token (0)");
  line.option("--count", count, "how many tokens (all)");
  if (!line.parse(args)) return 0;
  const auto tokenizer = name == "auto" ? data::tokenizer_beside(shard) : data::open_tokenizer(name);
  if (!tokenizer) throw ConfigError("data", "--tokenizer: wanted, because none lies beside " + shard);
  const auto source = data::open_shard(shard, tokenizer->vocab_size());
  const auto size = static_cast<int64_t>(source->size());
  check_range("--offset", offset, 0, size);
  if (line.given("--count")) check_range("--count", count, 0, size - offset);
  else count = size - offset;
  std::vector<uint16_t> ids(static_cast<size_t>(count));
  source->read(static_cast<uint64_t>(offset), ids.size(), ids.data());
  const std::string text = tokenizer->decode(ids);
  if (!line.json) return print(text), 0;
  Value out = Value::object();
  out["file"] = shard;
  out["offset"] = offset;
  out["tokens"] = count;
  out["text"] = data::with_replacements(text);
  print_json(out);
  return 0;
}

// train-tokenizer

int run_train_tokenizer(const Arguments& args) {
  CommandLine line("data train-tokenizer", "Train a SentencePiece BPE tokenizer with byte fallback on text files.");
  Arguments files;
  std::string out;
  int64_t vocab_size = 0;
  bool force = false;
  line.rest("FILES", files, ".txt or .jsonl files");
  line.option("--vocab-size", vocab_size, "ids in all, 4 control ids and 256 bytes among them");
  line.option("--out", out, "the .model file");
  line.flag("--force", force, "replace the file");
  if (!line.parse(args)) return 0;
  check_given(line, "--vocab-size", "a number of ids");
  check_given(line, "--out", "a file named .model");
  if (!out.ends_with(".model")) throw ConfigError("data", "--out: wanted a file named .model, found " + out);
  if (core::directory_exists(out)) throw ConfigError("data", "--out: wanted a file, found the directory " + out);
  if (core::file_exists(out) && !force) throw ConfigError("data", out + " exists; --force replaces it");
  Arguments documents;
  for (const std::string& file : files) {
    for (std::string& d : data::read_documents(file)) documents.push_back(std::move(d));
  }
  const std::string model = data::train_sentencepiece(documents, vocab_size);
  const size_t slash = out.find_last_of('/');
  if (slash != std::string::npos && slash > 0) core::make_directories(core::real_files(), out.substr(0, slash));
  core::write_file(core::real_files(), out, model);
  Value result = Value::object();
  result["out"] = out;
  result["vocab_size"] = vocab_size;
  result["documents"] = static_cast<int64_t>(documents.size());
  result["bytes"] = static_cast<int64_t>(model.size());
  result["hash"] = core::hash128_hex(model);
  line.json ? print_json(result) : print_lines(result, "");
  return 0;
}

struct Action {
  const char* name;
  const char* summary;
  int (*run)(const Arguments&);
};
constexpr Action kActions[] = {
    {"make", "write an embedded corpus as shards", run_make},
    {"fetch", "download what a manifest lists", run_fetch},
    {"info", "say what shards, a text or a tokenizer hold", run_info},
    {"encode", "write text files as shards", run_encode},
    {"decode", "print the text of a shard", run_decode},
    {"baseline", "n-gram losses on a corpus, and its entropy where it is known", run_baseline},
    {"train-tokenizer", "train a SentencePiece tokenizer", run_train_tokenizer},
    {"verify", "check every promise of a file", run_verify},
    {"overlap", "find text that training and validation share", run_overlap},
};

std::string help() {
  std::string text = "Corpora, shards and tokenizers.\nUsage: assay data ACTION [OPTIONS]\n\nActions (each has --help):\n";
  for (const Action& a : kActions)
    text += "  " + std::string(a.name) + std::string(18 - std::string_view(a.name).size(), ' ') + a.summary + "\n";
  return text;
}

}  // namespace
}  // namespace assay::cli::data_command

namespace assay::cli {

int run_data(const std::vector<std::string>& args) {
  using namespace data_command;
  if (args.empty())
    throw ConfigError("data", "an action is missing: make, fetch, info, encode, decode, baseline, train-tokenizer, verify or overlap");
  if (args.front() == "--help" || args.front() == "-h") {
    print(std::find(args.begin(), args.end(), "--json") == args.end() ? help() : CommandLine::help_document("data", help()));
    return 0;
  }
  Arguments known;
  for (const Action& a : kActions) {
    if (args.front() == a.name) return a.run({args.begin() + 1, args.end()});
    known.emplace_back(a.name);
  }
  throw ConfigError("data", core::unknown_name("action", args.front(), known));
}

}  // namespace assay::cli
