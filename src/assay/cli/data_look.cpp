#include "assay/cli/data_actions.h"
#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/data/byte_count.h"
#include "assay/data/images.h"
#include "assay/data/manifest.h"
#include "assay/data/path.h"
#include "assay/data/source_kind.h"

namespace assay::cli::data_command {
namespace {

using core::Value;

Value describe(const data::Tokenizer& t) {
  Value out = Value::object();
  out["description"] = t.description();
  out["vocab_size"] = t.vocab_size();
  out["bos"] = t.bos();
  out["eos"] = t.eos();
  out["hash"] = t.hash();
  return out;
}

// The tokenizer beside shards; null where there is none, or where it is not clear which.
std::unique_ptr<data::Tokenizer> known_tokenizer(const std::string& path) {
  try {
    return data::tokenizer_beside(path);
  } catch (const core::ConfigError&) {  // several models: whoever reads the shards must choose, whoever looks at them need not
    return nullptr;
  }
}

// `byte_count` and `bytes_per_token` of an entry; the latter only where the bytes are known exactly.
void add_bytes(Value& entry, const data::ByteCount& count) {
  Value bytes = Value::object();
  bytes["exact"] = count.exact;
  bytes["lower"] = count.lower;
  bytes["upper"] = count.upper == data::ByteCount::kUnbounded ? Value() : Value(count.upper);
  bytes["decoded"] = count.decoded_bytes;
  bytes["table"] = count.table_bytes;
  bytes["reason"] = count.reason;
  entry["byte_count"] = std::move(bytes);
  const bool known = count.exact && count.tokens > 0;
  entry["bytes_per_token"] = known ? Value(static_cast<double>(count.lower) / static_cast<double>(count.tokens)) : Value();
}

Value about_shards(const std::string& path, const Arguments& files, const std::string& name) {
  Value out = Value::object();
  const auto tokenizer = name == "auto" ? known_tokenizer(path) : data::open_tokenizer(name);
  out["kind"] = "shards";
  out["path"] = path;
  out["tokenizer"] = tokenizer ? describe(*tokenizer) : Value();
  uint64_t total = 0;
  out["files"] = Value::array();
  for (const std::string& file : files) {
    const data::ShardInfo info = data::verify_shard(file, 0);
    Value entry = Value::object();
    entry["file"] = file;
    entry["tokens"] = info.tokens;
    entry["max_id"] = int64_t{info.max_id};
    entry["hash"] = info.hash;
    if (tokenizer) {
      const auto source = data::open_shard(file, 0);
      add_bytes(entry, data::count_bytes(*source, *tokenizer, 0, source->size()));
    } else {
      entry["byte_count"] = Value();
      entry["bytes_per_token"] = Value();
    }
    out["files"].push_back(std::move(entry));
    total += info.tokens;
  }
  out["tokens"] = total;
  return out;
}

// All shards of a directory, whatever their split; or what a glob or name finds.
Arguments shards_at(const std::string& path) {
  if (!core::directory_exists(path)) return data::find_shards(path, "train");
  Arguments files;
  for (const std::string& name : core::list_directory(path)) {
    if (name.ends_with(".bin")) files.push_back(data::join_path(path, name));
  }
  if (files.empty()) throw core::DataError("shards", path + ": wanted files named *.bin in this directory, found none");
  return files;
}

Value about_text(const std::string& path, const std::string& tokenizer_name) {
  Value out = Value::object();
  const Arguments documents = data::read_documents(path);
  int64_t bytes = 0;
  for (const std::string& d : documents) bytes += static_cast<int64_t>(d.size());
  out["kind"] = "text";
  out["path"] = path;
  out["documents"] = static_cast<int64_t>(documents.size());
  out["bytes"] = bytes;
  if (tokenizer_name == "auto") return out;
  const auto tokenizer = data::open_tokenizer(tokenizer_name);
  const data::ByteCount count = data::count_bytes(documents, *tokenizer);
  out["tokenizer"] = describe(*tokenizer);
  out["tokens"] = count.tokens;
  add_bytes(out, count);
  return out;
}

Value about_images(const std::string& path) {
  Value out = Value::object();
  out["kind"] = "images";
  out["path"] = path;
  out["row"] = data::image_row(data::kCifarSide);
  out["vocab_size"] = data::kImageVocab;
  for (const char* split : {"train", "val"}) {
    const auto source = data::open_cifar10(path, split);
    out[split] = Value::object();
    out[split]["images"] = static_cast<int64_t>(source->size()) / data::image_row(data::kCifarSide);
    out[split]["hash"] = source->hash();
  }
  return out;
}

Value about(const std::string& path, const std::string& tokenizer_name) {
  Value out = Value::object();
  const data::SourceKind kind = data::source_kind(path);
  const bool model = path.ends_with(".model"), has_tokens = !model && (kind == data::SourceKind::shards || kind == data::SourceKind::text);
  if (tokenizer_name != "auto" && !has_tokens)
    throw core::ConfigError("data", "--tokenizer: wanted with shards or a text, found with " + path);
  if (model) {
    const Value tokenizer = describe(*data::sentencepiece_tokenizer(path));
    out["kind"] = "tokenizer";
    out["path"] = path;
    for (const auto& [key, value] : tokenizer.as_object()) out[key] = value;
  } else if (kind == data::SourceKind::embedded) {
    out["kind"] = "corpus";
    for (const data::EmbeddedCorpus& c : data::embedded_corpora()) {
      if (path == c.name) out["name"] = c.name, out["summary"] = c.summary;
    }
  } else if (kind == data::SourceKind::images) {
    out = about_images(path);
  } else if (kind == data::SourceKind::text) {
    out = about_text(path, tokenizer_name);
  } else {
    out = about_shards(path, shards_at(path), tokenizer_name);
  }
  return out;
}

struct Verified {
  Value files = Value::array();
  bool pass = true;
  void add(const std::string& file, const std::string& error, Value entry = Value::object()) {
    Value out = Value::object();
    out["file"] = file;
    out["pass"] = error.empty();
    out["error"] = error;
    for (auto& [key, value] : entry.as_object()) out[key] = std::move(value);
    files.push_back(std::move(out));
    pass = pass && error.empty();
  }
};

// The ids that a shard may hold: as told, else those of the tokenizer beside it, else all that 16 bits can name.
int64_t vocabulary(const std::string& path, int64_t told) {
  if (told > 0) return told;
  const auto tokenizer = known_tokenizer(path);
  return tokenizer ? tokenizer->vocab_size() : 65536;
}

void verify_shards(const std::string& path, int64_t told, Verified& verified) {
  const int64_t vocab = vocabulary(path, told);
  std::vector<data::ShardInfo> sound;
  const Arguments files = shards_at(path);
  for (const std::string& file : files) {
    try {
      const data::ShardInfo info = sound.emplace_back(data::verify_shard(file, vocab));
      Value entry = Value::object();
      entry["tokens"] = info.tokens;
      entry["max_id"] = int64_t{info.max_id};
      entry["vocab"] = vocab;
      entry["hash"] = info.hash;
      verified.add(file, "", std::move(entry));
    } catch (const core::DataError& e) {
      verified.add(file, e.what());
    }
  }
  if (!core::directory_exists(path) || sound.size() != files.size()) return;
  const std::string fault = data::fault_of_manifest(path, sound);
  if (!fault.empty()) verified.add(path, "[data] " + fault);
}

void verify_one(const std::string& path, int64_t vocab, Verified& verified) {
  const data::SourceKind kind = data::source_kind(path);
  try {
    if (path.ends_with(".model")) data::sentencepiece_tokenizer(path), verified.add(path, "");
    else if (kind == data::SourceKind::text) data::read_documents(path), verified.add(path, "");
    else if (kind == data::SourceKind::images) about_images(path), verified.add(path, "");
    else verify_shards(path, vocab, verified);
  } catch (const core::Error& e) {
    verified.add(path, e.what());
  }
}

}  // namespace

int run_info(const Arguments& args) {
  CommandLine line("data info", "Say what a shard, a directory or glob of shards, a text, a .model file or an embedded corpus holds.");
  std::string path, tokenizer = "auto";
  line.positional("PATH", path, "what to look at");
  line.option("--tokenizer", tokenizer, "bytes or a .model file: count the bytes of shards or a text by it (the one beside the shards)");
  if (!line.parse(args)) return 0;
  const Value found = about(path, tokenizer);
  line.json ? print_json(found) : print_lines(found, "");
  return 0;
}

int run_verify(const Arguments& args) {
  CommandLine line("data verify",
                   "Check every promise of shards, directories of shards, texts and .model files. Exit code 2: one is broken.");
  Arguments paths;
  int64_t vocab = 0;
  line.rest("FILES", paths, "shards, directories, .txt, .jsonl or .model files");
  line.option("--vocab", vocab, "ids must be below this (the tokenizer's beside the shard, else 65536)");
  if (!line.parse(args)) return 0;
  if (line.given("--vocab")) check_range("--vocab", vocab, 1, 65536);
  Verified verified;
  for (const std::string& path : paths) verify_one(path, vocab, verified);
  if (line.json) {
    Value out = Value::object();
    out["pass"] = verified.pass;
    out["files"] = verified.files;
    print_json(out);
  }
  for (const Value& file : verified.files.as_array()) {
    if (!file.at("pass").as_bool()) core::log(core::Level::error, file.at("error").as_string());
    else if (!line.json) print("ok " + core::printable(file.at("file").as_string()) + "\n");
  }
  return static_cast<int>(verified.pass ? core::Exit::ok : core::Exit::bad_input);
}

}  // namespace assay::cli::data_command
