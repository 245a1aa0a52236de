// `assay data fetch` against a server with the faults of real ones: cut connections, other files than were promised, no ranges, errors.
#include "assay/data/fetch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>

#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/data/corpus.h"
#include "assay/data/manifest.h"
#include "assay/data/sha256.h"
#include "data/command.h"
#include "data/files.h"
#include "data/http_server.h"
#include "data/model_files.h"

using namespace assay;
using namespace assay::test;
using core::Value;

namespace {

// Three training shards, one of validation and a model behind a server, and the manifest beside them.
class Published {
 public:
  Published() {
    write(scratch / "words.model", small_model());
    const auto tokenizer = data::sentencepiece_tokenizer(scratch / "words.model");
    data::Dataset d;
    d.name = "text";
    d.tokenizer = tokenizer.get();
    d.model_path = scratch / "words.model";
    d.source["files"].push_back("a.txt");
    d.splits.emplace_back("train", data::Tokenized{counting(250), 2});
    d.splits.emplace_back("val", data::Tokenized{counting(60), 1});
    manifest = data::write_dataset(core::real_files(), d, scratch / "origin", false, 100);
    manifest["url"] = server.url();
    for (const std::string& name : files()) restore(name);
  }

  static std::vector<std::string> files() {
    return {"words.model", "text_val_000000.bin", "text_train_000000.bin", "text_train_000001.bin", "text_train_000002.bin"};
  }
  std::string content(const std::string& name) const { return read(scratch / ("origin/" + name)); }
  void restore(const std::string& name) { server.set(name, {content(name)}); }

  Arguments arguments(std::initializer_list<std::string> more = {}) {
    write(scratch / "published.json", core::to_json(manifest));
    Arguments all = {"fetch", scratch / "published.json", "--out", scratch / "here", "--quiet"};
    all.insert(all.end(), more);
    if (std::find(all.begin(), all.end(), "--retries") == all.end()) all.insert(all.end(), {"--retries", "0"});
    return all;
  }
  Value fetched(std::initializer_list<std::string> more = {}) { return json(arguments(more)); }
  Result result(std::initializer_list<std::string> more = {}) { return run(arguments(more)); }

  // The directory holds exactly what was published, and reads as data.
  void check_whole() {
    for (const std::string& name : files()) CHECK_MESSAGE(read(scratch / ("here/" + name)) == content(name), name);
    for (const std::string& name : core::list_directory(scratch / "here")) CHECK_MESSAGE(!name.ends_with(".part"), name);
    CHECK(run({"verify", scratch / "here"}).code == 0);
    CHECK(data::read_manifest(scratch / "here/manifest.json").at("hash") == manifest.at("hash"));
  }
  Value& shard(const std::string& split, size_t i) { return manifest["splits"][split]["shards"].as_array()[i]; }

  Scratch scratch;
  Server server;
  Value manifest;
};

std::vector<std::string> states(const Value& result) {
  std::vector<std::string> out;
  for (const Value& f : result.at("files").as_array()) out.push_back(f.at("state").as_string());
  return out;
}

void check_failed(const Result& r, int code, std::initializer_list<std::string> parts) {
  CHECK_MESSAGE(r.code == code, r.error);
  for (const std::string& part : parts) CHECK_MESSAGE(contains(r.error, part), r.error);
}

constexpr const char* kShard = "text_train_000001.bin";  // 1224 bytes

}  // namespace

TEST_CASE("SHA-256 of the standard's examples") {
  data::Sha256 sum;
  CHECK(sum.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  sum.update("a", 1);
  sum.update("bc", 2);
  CHECK(sum.hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("a fetched directory is what was published, and a second call asks for nothing") {
  Published p;
  const Value v = p.fetched();
  CHECK(keys(v) == std::vector<std::string>{"out", "name", "files", "bytes_fetched"});
  CHECK(keys(v.at("files").as_array()[0]) == std::vector<std::string>{"file", "url", "bytes", "sha256", "state", "resumed_from"});
  CHECK(states(v) == std::vector<std::string>(5, "fetched"));
  CHECK(p.server.requests() == Published::files());
  p.check_whole();
  data::DataConfig config;
  config.path = p.scratch / "here";
  CHECK(data::open_corpus(config).train->size() == 250);

  const Value again = p.fetched();
  CHECK(states(again) == std::vector<std::string>(5, "present"));
  CHECK(again.at("bytes_fetched").as_int() == 0);
  CHECK(p.server.requests().empty());
  p.check_whole();
}

TEST_CASE("a connection that is cut leaves a part, and the next call goes on at its end") {
  Published p;
  p.server.set(kShard, {.content = p.content(kShard), .cut_after = 1100});
  check_failed(p.result(), 4, {kShard, "1100 of 1224 bytes", "goes on"});
  CHECK(core::file_size(p.scratch / ("here/" + std::string(kShard) + ".part")) == 1100);
  CHECK_FALSE(core::file_exists(p.scratch / ("here/" + std::string(kShard))));
  CHECK(data::read_manifest(p.scratch / "here/manifest.json").at("splits").at("train").at("tokens").as_int() == 100);
  CHECK(run({"verify", p.scratch / "here"}).code == 0);  // what is there is complete
  p.server.requests();

  p.server.set(kShard, {.content = p.content(kShard), .cut_after = 50});
  check_failed(p.result(), 4, {"1150 of 1224 bytes"});
  p.restore(kShard);
  const Value v = p.fetched();
  CHECK(states(v) == std::vector<std::string>{"present", "present", "present", "resumed", "fetched"});
  CHECK(v.at("files").as_array()[3].at("resumed_from").as_int() == 1150);
  CHECK(p.server.requests() ==
        std::vector<std::string>{std::string(kShard) + " from 1100", std::string(kShard) + " from 1150", "text_train_000002.bin"});
  p.check_whole();
}

TEST_CASE("a failure that passes is tried again in the same call") {
  Published p;
  p.server.set(kShard, {.content = p.content(kShard), .cut_after = 1100, .cuts = 1});
  CHECK(states(p.fetched({"--retries", "1"}))[3] == "fetched");
  p.check_whole();
}

TEST_CASE("a server without ranges, without lengths, or that has moved the file") {
  for (const bool ranges : {true, false})
    for (const bool length : {true, false}) {
      INFO("ranges " << ranges << ", length " << length);
      Published p;
      const auto faulty = [&](size_t cut) {
        return Server::File{.content = p.content(kShard), .cut_after = cut, .ranges = ranges, .length = length};
      };
      p.server.set(kShard, faulty(1100));
      check_failed(p.result(), 4, {"1100 of 1224 bytes"});
      p.server.set(kShard, faulty(Server::kAll));
      CHECK(states(p.fetched())[3] == (ranges ? "resumed" : "fetched"));
      p.check_whole();
    }
  Published p;
  p.server.set("elsewhere", {p.content(kShard)});
  p.server.set(kShard, {.content = "", .moved_to = "elsewhere"});
  p.fetched();
  p.check_whole();
}

TEST_CASE("content that is not what was stated gets no name, and the next call begins anew") {
  for (const bool stated : {true, false}) {
    INFO("sha256 stated: " << stated);
    Published p;
    if (stated) p.shard("train", 1)["sha256"] = data::sha256_of_file(p.scratch / ("origin/" + std::string(kShard)));
    std::string wrong = p.content(kShard);
    wrong[1030] = static_cast<char>(wrong[1030] ^ 1);
    p.server.set(kShard, {wrong});
    if (stated) check_failed(p.result(), 2, {kShard, "sha256", "wanted"});
    else check_failed(p.result(), 2, {kShard, "hash: wanted"});
    CHECK_FALSE(core::file_exists(p.scratch / ("here/" + std::string(kShard))));
    CHECK_FALSE(core::file_exists(p.scratch / ("here/" + std::string(kShard) + ".part")));
    p.restore(kShard);
    CHECK(states(p.fetched())[3] == "fetched");
    p.check_whole();
  }
}

TEST_CASE("a file of another size is refused before it is read, or where it goes beyond") {
  for (const bool length : {true, false}) {
    Published p;
    p.server.set(kShard, {.content = p.content(kShard) + "xx", .length = length});
    check_failed(p.result(), 2, {kShard, "1224"});
    p.server.set(kShard, {.content = p.content(kShard).substr(0, 1200), .length = length});
    if (length) check_failed(p.result(), 2, {"1200 bytes, the manifest states 1224"});
    else check_failed(p.result(), 4, {"1200 of 1224 bytes"});
    p.restore(kShard);
    p.fetched();
    p.check_whole();
  }
}

TEST_CASE("a part that is longer than the file, or whole already") {
  Published p;
  p.fetched();
  const std::string here = p.scratch / ("here/" + std::string(kShard)), part = here + ".part";
  std::filesystem::rename(here, part);
  p.server.requests();
  CHECK(states(p.fetched())[3] == "resumed");
  CHECK(p.server.requests().empty());
  p.check_whole();
  std::filesystem::remove(here);
  write(part, std::string(5000, 'x'));
  CHECK(states(p.fetched())[3] == "fetched");
  p.check_whole();
}

TEST_CASE("what servers answer: an address that they do not have is bad input, a server that fails passes") {
  Published p;
  p.server.set(kShard, {.content = "", .status = 404});
  check_failed(p.result(), 2, {kShard, "HTTP status 404"});
  p.server.set(kShard, {.content = "", .status = 503});
  check_failed(p.result(), 4, {kShard, "HTTP status 503"});
  check_failed(p.result({"--url", "http://127.0.0.1:1/"}), 4, {"127.0.0.1:1/" + std::string(kShard)});
  check_failed(p.result({"--url", "ftp://127.0.0.1/"}), 2, {"ftp://127.0.0.1/"});
  p.restore(kShard);
  p.fetched();
  p.check_whole();
}

TEST_CASE("sums that nobody published are recorded when first seen, and another file is refused later") {
  Published p;
  for (const char* split : {"train", "val"})
    for (Value& shard : p.manifest["splits"][split]["shards"].as_array()) {
      shard.erase("hash");
      shard.erase("tokens");
    }
  p.manifest["tokenizer"].erase("hash");
  p.server.set(kShard, {.content = p.content(kShard), .cut_after = 1100});
  check_failed(p.result(), 4, {"after 1100 bytes"});
  p.restore(kShard);
  CHECK(states(p.fetched())[3] == "resumed");
  p.check_whole();

  const std::string here = p.scratch / ("here/" + std::string(kShard));
  std::filesystem::remove(here);
  std::string other = p.content(kShard);
  other[1030] = static_cast<char>(other[1030] ^ 1);
  p.server.set(kShard, {other});
  check_failed(p.result(), 2, {kShard, "sha256", "as recorded in", "fetched.json"});
  CHECK_FALSE(core::file_exists(here));
  // Whole, and only the rename is missing: the server says that nothing is behind it.
  p.restore(kShard);
  write(here + ".part", p.content(kShard));
  CHECK(states(p.fetched())[3] == "resumed");
  p.check_whole();
}

TEST_CASE("a file that was damaged where it lies is named, and not replaced") {
  Published p;
  p.fetched();
  const std::string here = p.scratch / ("here/" + std::string(kShard));
  std::string wrong = read(here);
  wrong[1030] = static_cast<char>(wrong[1030] ^ 1);
  write(here, wrong);
  check_failed(p.result(), 2, {kShard, "sha256", "wanted"});
  write(here, wrong.substr(0, 1100));
  check_failed(p.result(), 2, {kShard, "1100 bytes, wanted 1224"});
  CHECK(read(here).size() == 1100);
}

TEST_CASE("only the first training shards") {
  Published p;
  CHECK(p.fetched({"--shards", "1"}).at("files").size() == 3);
  const Value here = data::read_manifest(p.scratch / "here/manifest.json");
  CHECK(here.at("splits").at("train").at("tokens").as_int() == 100);
  CHECK(here.at("splits").at("train").find("documents") == nullptr);
  CHECK(run({"verify", p.scratch / "here"}).code == 0);
  p.fetched();
  p.check_whole();
}

TEST_CASE("a manifest's faults name the file and the field, and nothing is made") {
  const auto refused = [](const std::function<void(Published&)>& change, std::initializer_list<std::string> parts) {
    Published p;
    change(p);
    check_failed(p.result(), 2, parts);
    CHECK_FALSE(core::directory_exists(p.scratch / "here"));
  };
  refused([](Published& p) { p.manifest.erase("url"); }, {"published.json", "no url", "--url"});
  refused([](Published& p) { p.manifest["url"] = 3; }, {"published.json", "url", "integer"});
  refused([](Published& p) { p.manifest["format"] = 2; }, {"published.json", "format"});
  refused([](Published& p) { p.manifest.erase("name"); }, {"published.json", "name"});
  refused([](Published& p) { p.manifest["splits"] = Value(); }, {"published.json", "splits"});
  refused([](Published& p) { p.manifest["splits"]["test"] = Value::object(); }, {"splits.test"});
  refused([](Published& p) { p.manifest["splits"]["val"].erase("shards"); }, {"splits.val.shards"});
  refused([](Published& p) { p.shard("train", 1)["file"] = "../text_train_000001.bin"; },
          {"splits.train.shards[1].file", "without a folder"});
  refused([](Published& p) { p.shard("train", 1)["file"] = "text_val_000001.bin"; }, {"splits.train.shards[1].file", "_train_"});
  refused([](Published& p) { p.shard("train", 1)["file"] = "text_train_000000.bin"; }, {"twice"});
  refused([](Published& p) { p.shard("train", 1)["sha256"] = "abc"; }, {"splits.train.shards[1].sha256", "64"});
  refused([](Published& p) { p.shard("train", 1)["bytes"] = 7; }, {"splits.train.shards[1].bytes", "1224"});
  refused([](Published& p) { p.shard("train", 1)["tokens"] = -1; }, {"splits.train.shards[1].tokens"});
  refused([](Published& p) { p.manifest["tokenizer"]["file"] = "x.json"; }, {"tokenizer.file", ".model"});
  Published p;
  check_refused({"fetch", p.scratch / "none.json", "--out", p.scratch / "here"}, {"none.json", "no such file"});
  check_refused({"fetch", p.scratch / "origin/manifest.json"}, {"--out"});
  // A directory of other data is left alone.
  std::filesystem::create_directories(p.scratch / "here");
  write_tokens(p.scratch / "here/other_train_000000.bin", {1, 2});
  check_failed(p.result(), 2, {"other_train_000000.bin", "belongs to other data"});
}

TEST_CASE("whichever call to the disk fails, the next fetch completes the directory") {
  core::set_quiet(true);
  Published p;
  p.manifest["splits"]["train"]["shards"].as_array().resize(1);
  p.manifest.erase("hash");
  p.arguments();
  data::FetchOptions options;
  options.out = p.scratch / "here";
  options.retries = 0;
  int64_t n = 1;
  for (bool failed = true; failed; ++n) {
    INFO("call " << n);
    core::FailingFiles failing(n, ENOSPC);
    failed = !refusal<core::ResourceError>([&] { data::fetch(failing, p.scratch / "published.json", options); }).empty();
    data::fetch(core::real_files(), p.scratch / "published.json", options);
    for (size_t i = 0; i < 3; ++i) CHECK(read(p.scratch / ("here/" + Published::files()[i])) == p.content(Published::files()[i]));
    CHECK(run({"verify", p.scratch / "here"}).code == 0);
    std::filesystem::remove_all(p.scratch / "here");
  }
  CHECK(n > 30);
}

TEST_CASE("the manifest of the published data states what was published of it") {
  const std::string path = std::string(ASSAY_SOURCE_DIR) + "/recipes/data/fineweb10B_sp1024.json";
  const Value m = data::read_manifest(path);
  int64_t tokens = 0;
  for (const Value& shard : m.at("splits").at("train").at("shards").as_array()) tokens += shard.at("tokens").as_int();
  CHECK(tokens == 19473201340);
  CHECK(m.at("splits").at("train").at("shards").size() == 195);
  CHECK(m.at("splits").at("val").at("shards").as_array()[0].at("tokens").as_int() == 62021846);
  const Scratch scratch;
  Server server;
  server.set("tokenizers/fineweb_1024_bpe.model", {small_model()});
  // 400 pieces instead of 1024.
  check_refused({"fetch", path, "--out", scratch / "d", "--url", server.url(), "--retries", "0", "--quiet"},
                {"vocab_size: wanted 1024, found 400"});
}
