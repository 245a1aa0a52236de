#include "assay/data/fetch.h"

#include <algorithm>
#include <map>

#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/data/download.h"
#include "assay/data/manifest.h"
#include "assay/data/path.h"
#include "assay/data/sha256.h"

namespace assay::data {
namespace {

using core::Value;

constexpr const char* kRecord = "fetched.json";

// A file of the manifest: `split` is "" for the tokenizer.
struct Item {
  std::string split, file;
  Remote remote;
  const Value* entry;  // in the manifest
};

// Reads the manifest's fields; every fault names the file and the field.
class Reader {
 public:
  Reader(std::string path, std::string url) : path_(std::move(path)), manifest_(read_manifest(path_)), base_(std::move(url)) {
    if (manifest_.is_null()) throw core::DataError("data", path_ + ": there is no such file");
    if (base_.empty()) base_ = text(manifest_, "url", "url");
    if (!base_.empty() && !base_.ends_with('/')) base_ += '/';
    const Value* name = manifest_.find("name");
    if (name == nullptr || !name->is_string()) refuse("name", "wanted the name of the data");
    if (manifest_.find("tokenizer") == nullptr) manifest_["tokenizer"] = Value();
  }

  const Value& manifest() const { return manifest_; }

  // Tokenizer, validation, training.
  std::vector<Item> items(int64_t shards) const {
    std::vector<Item> all;
    if (const Value& t = manifest_.at("tokenizer"); t.is_object() && t.find("file") != nullptr && t.at("file").is_string())
      all.push_back(item(t, "", "tokenizer"));
    const Value* splits = manifest_.find("splits");
    if (splits == nullptr || !splits->is_object()) refuse("splits", "wanted an object of train and val");
    for (const auto& [split, value] : splits->as_object())
      if (split != "train" && split != "val") refuse("splits." + split, "wanted train or val");
    for (const char* split : {"val", "train"}) {
      const Value* value = splits->find(split);
      if (value == nullptr) continue;
      const std::string where = "splits." + std::string(split) + ".shards";
      const Value* list = value->is_object() ? value->find("shards") : nullptr;
      if (list == nullptr || !list->is_array()) refuse(where, "wanted a list of files");
      for (size_t i = 0; i < list->size(); ++i) {
        if (split == std::string_view("train") && shards > 0 && static_cast<int64_t>(i) >= shards) break;
        all.push_back(item(list->as_array()[i], split, where + "[" + std::to_string(i) + "]"));
      }
    }
    std::map<std::string, int> times;
    for (const Item& i : all)
      if (++times[i.file] > 1) refuse("splits", "lists " + i.file + " twice");
    if (all.empty()) refuse("splits", "lists no file");
    return all;
  }

 private:
  [[noreturn]] void refuse(const std::string& field, const std::string& what) const {
    throw core::DataError("data", path_ + ": " + field + ": " + what);
  }
  std::string text(const Value& from, const char* key, const std::string& where) const {
    const Value* v = from.find(key);
    if (v == nullptr || v->is_null()) return "";
    if (!v->is_string()) refuse(where, std::string("wanted text, found ") + v->kind());
    return v->as_string();
  }
  std::optional<uint64_t> count(const Value& from, const char* key, const std::string& where) const {
    const Value* v = from.find(key);
    if (v == nullptr || v->is_null()) return std::nullopt;
    if (!v->is_int() || v->as_int() < 0) refuse(where + "." + key, "wanted a count of at least 0, found " + core::to_json(*v));
    return static_cast<uint64_t>(v->as_int());
  }

  Item item(const Value& entry, const std::string& split, const std::string& where) const {
    if (!entry.is_object()) refuse(where, std::string("wanted an object, found ") + entry.kind());
    Item i{split, text(entry, "file", where + ".file"), {}, &entry};
    if (i.file.empty() || i.file.front() == '.' || i.file.find('/') != std::string::npos)
      refuse(where + ".file", "wanted the name of a file without a folder, found '" + i.file + "'");
    if (!split.empty() && (!is_shard_name(i.file) || i.file.find("_" + split + "_") == std::string::npos))
      refuse(where + ".file", "wanted NAME_" + split + "_NUMBER.bin, found '" + i.file + "'");
    if (split.empty() && !i.file.ends_with(".model")) refuse(where + ".file", "wanted NAME.model, found '" + i.file + "'");
    i.remote.bytes = count(entry, "bytes", where);
    if (const auto tokens = count(entry, "tokens", where); tokens && !split.empty()) {
      const uint64_t bytes = kShardHeaderBytes + 2 * *tokens;
      if (i.remote.bytes && *i.remote.bytes != bytes)
        refuse(where + ".bytes", "a shard of " + std::to_string(*tokens) + " tokens has " + std::to_string(bytes) + " bytes, found " +
                                     std::to_string(*i.remote.bytes));
      i.remote.bytes = bytes;
    }
    i.remote.sha256 = text(entry, "sha256", where + ".sha256");
    const bool hex = i.remote.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!i.remote.sha256.empty() && (i.remote.sha256.size() != 64 || !hex))
      refuse(where + ".sha256", "wanted 64 digits of 0-9 and a-f, found '" + i.remote.sha256 + "'");
    const std::string own = text(entry, "url", where + ".url");
    i.remote.url = own.find("://") != std::string::npos ? own : base_ + (own.empty() ? i.file : own);
    if (i.remote.url.find("://") == std::string::npos)
      throw core::ConfigError("data", path_ + ": no address for " + i.file + ": the manifest has no url; give --url");
    return i;
  }

  std::string path_;
  Value manifest_;
  std::string base_;
};

// What earlier calls saw: DIR/fetched.json, file by file.
class Record {
 public:
  explicit Record(const std::string& directory) : path_(join_path(directory, kRecord)) {
    if (core::file_exists(path_)) seen_ = core::parse_json(core::read_file(path_, uint64_t{1} << 20), path_);
    if (!seen_.is_object()) throw core::DataError("data", path_ + ": wanted an object, found " + seen_.kind());
  }
  std::string sum_of(const std::string& file) const {
    const Value* v = seen_.find(file);
    return v == nullptr ? "" : v->at("sha256").as_string();
  }
  void add(core::FileSystem& fs, const Item& i, uint64_t bytes, const std::string& sha256) {
    Value v = Value::object();
    v["url"] = i.remote.url;
    v["bytes"] = bytes;
    v["sha256"] = sha256;
    v["seen"] = core::utc_now();
    seen_[i.file] = std::move(v);
    core::write_file(fs, path_, core::to_json(seen_, 2) + "\n");
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  Value seen_ = Value::object();
};

void check_directory(const std::string& directory, const std::string& name, const Value& manifest) {
  if (core::file_exists(directory)) throw core::ConfigError("data", directory + ": wanted a directory, found a file");
  if (!core::directory_exists(directory)) return;
  std::string listed;
  for (const auto& [split, value] : manifest.at("splits").as_object())
    for (const Value& shard : value.at("shards").as_array()) listed += shard.at("file").as_string() + "\n";
  const Value there = read_manifest(join_path(directory, kManifest));
  const std::string other = there.is_null() ? name : there.at("name").as_string();
  if (other != name) throw core::ConfigError("data", directory + " holds " + other + ", not " + name);
  for (const std::string& file : core::list_directory(directory))
    if (is_shard_name(file) && listed.find(file + "\n") == std::string::npos)
      throw core::ConfigError("data", join_path(directory, file) + " belongs to other data; a directory holds one set of shards");
}

// The directory's own manifest: the remote one with the files that are here, and what was seen of them.
class Local {
 public:
  Local(const Value& remote, std::string directory) : directory_(std::move(directory)), manifest_(remote) {
    for (auto& [split, value] : manifest_["splits"].as_object()) {
      wanted_[split] = value.at("shards").size();
      value["shards"] = Value::array();
    }
  }

  // Checks the content of `path`, where the file lies now, and takes it up. DataError: not what the manifest states.
  void take(const Item& i, const std::string& path, uint64_t bytes, const std::string& sha256) {
    Value entry = *i.entry;
    entry["bytes"] = bytes;
    entry["sha256"] = sha256;
    if (i.split.empty()) take_tokenizer(i, path, std::move(entry));
    else take_shard(i, path, std::move(entry));
  }

  void write(core::FileSystem& fs) {
    bool whole = true;
    for (auto& [split, value] : manifest_["splits"].as_object()) {
      int64_t tokens = 0;
      for (const Value& shard : value.at("shards").as_array()) tokens += shard.at("tokens").as_int();
      value["tokens"] = tokens;
      if (value.at("shards").size() == wanted_[split]) continue;
      whole = false;
      value.erase("documents");
    }
    const std::string hash = hash_of_manifest(manifest_);
    if (const Value* stated = manifest_.find("hash"); whole && stated != nullptr && stated->is_string() && stated->as_string() != hash)
      throw core::DataError("data", "the manifest's hash is " + stated->as_string() + ", that of its files " + hash);
    Value out = manifest_;
    out["hash"] = hash;
    core::write_file(fs, join_path(directory_, kManifest), core::to_json(out, 2) + "\n");
  }

 private:
  static void compare(const Item& i, const char* field, const std::string& found) {
    const Value* stated = i.entry->find(field);
    if (stated == nullptr || stated->is_null()) return;
    const std::string wanted = stated->is_string() ? stated->as_string() : core::to_json(*stated);
    if (wanted != found) throw core::DataError("data", i.file + ": " + field + ": wanted " + wanted + ", found " + found);
  }

  void take_tokenizer(const Item& i, const std::string& path, Value entry) {
    const auto tokenizer = sentencepiece_tokenizer(path);
    compare(i, "hash", tokenizer->hash());
    compare(i, "vocab_size", std::to_string(tokenizer->vocab_size()));
    entry["description"] = "sentencepiece " + i.file;
    entry["vocab_size"] = tokenizer->vocab_size();
    entry["hash"] = tokenizer->hash();
    manifest_["tokenizer"] = std::move(entry);
  }

  void take_shard(const Item& i, const std::string& path, Value entry) {
    const Value* vocab = manifest_.at("tokenizer").is_object() ? manifest_.at("tokenizer").find("vocab_size") : nullptr;
    const ShardInfo info = verify_shard(path, vocab != nullptr && vocab->is_int() ? vocab->as_int() : 0);
    compare(i, "tokens", std::to_string(info.tokens));
    compare(i, "hash", info.hash);
    entry["tokens"] = info.tokens;
    entry["hash"] = info.hash;
    manifest_["splits"][i.split]["shards"].push_back(std::move(entry));
  }

  std::string directory_;
  Value manifest_;
  std::map<std::string, size_t> wanted_;
};

// One call: file after file.
class Session {
 public:
  Session(core::FileSystem& fs, const Reader& reader, const FetchOptions& options)
      : fs_(fs), options_(options), items_(reader.items(options.shards)), record_(options.out), local_(reader.manifest(), options.out) {
    for (const Item& i : items_) all_ += i.remote.bytes.value_or(0);
    if (std::any_of(items_.begin(), items_.end(), [](const Item& i) { return !i.remote.bytes && !i.split.empty(); })) all_ = 0;
  }

  Value run() {
    Value files = Value::array();
    for (const Item& i : items_) files.push_back(one(i));
    return files;
  }
  uint64_t fetched() const { return fetched_; }

 private:
  Value one(const Item& i) {
    const std::string path = join_path(options_.out, i.file);
    const bool present = core::file_exists(path);
    const Received got = present ? compare(i, path) : receive(i, path);
    done_ += got.bytes;
    if (!present) fetched_ += got.bytes - got.resumed_from;
    if (record_.sum_of(i.file).empty()) record_.add(fs_, i, got.bytes, got.sha256);
    local_.write(fs_);
    Value entry = Value::object();
    entry["file"] = i.file;
    entry["url"] = i.remote.url;
    entry["bytes"] = got.bytes;
    entry["sha256"] = got.sha256;
    entry["state"] = present ? "present" : got.resumed_from > 0 ? "resumed" : "fetched";
    entry["resumed_from"] = got.resumed_from;
    return entry;
  }

  // DataError where what lies at `where` is not the file that was wanted.
  void check(const Item& i, const std::string& where, const Received& got) {
    const std::string recorded = record_.sum_of(i.file), wanted = i.remote.sha256.empty() ? recorded : i.remote.sha256;
    if (i.remote.bytes && got.bytes != *i.remote.bytes)
      throw core::DataError("data", i.file + ": " + std::to_string(got.bytes) + " bytes, wanted " + std::to_string(*i.remote.bytes));
    if (!wanted.empty() && got.sha256 != wanted)
      throw core::DataError("data", i.file + ": its sha256 is " + got.sha256 + ", wanted " + wanted +
                                        (i.remote.sha256.empty() ? " as recorded in " + record_.path() : std::string()));
    local_.take(i, where, got.bytes, got.sha256);
  }

  Received compare(const Item& i, const std::string& path) {
    const Received got{core::file_size(path), 0, sha256_of_file(path)};
    try {
      check(i, path, got);
    } catch (const core::DataError&) {
      core::warn("[data] " + path + " was there and is not what is wanted; remove it to fetch it again");
      throw;
    }
    return got;
  }

  Received receive(const Item& i, const std::string& path) {
    DownloadRules rules;
    rules.retries = options_.retries;
    if (options_.progress) rules.progress = [&](uint64_t bytes) { options_.progress(done_ + bytes, all_, i.file); };
    rules.inspect = [&](const std::string& part, const Received& got) { check(i, part, got); };
    return download(fs_, i.remote, path, rules);
  }

  core::FileSystem& fs_;
  const FetchOptions& options_;
  std::vector<Item> items_;
  Record record_;
  Local local_;
  uint64_t all_ = 0, done_ = 0, fetched_ = 0;
};

}  // namespace

core::Value fetch(core::FileSystem& fs, const std::string& manifest_path, const FetchOptions& options) {
  const Reader reader(manifest_path, options.url);
  reader.items(options.shards);  // every fault of the manifest before anything is made
  const std::string name = reader.manifest().at("name").as_string();
  check_directory(options.out, name, reader.manifest());
  core::make_directories(fs, options.out);
  const core::DirectoryLock lock(options.out);
  Session session(fs, reader, options);
  Value result = Value::object();
  result["out"] = options.out;
  result["name"] = name;
  result["files"] = session.run();
  result["bytes_fetched"] = session.fetched();
  return result;
}

}  // namespace assay::data
