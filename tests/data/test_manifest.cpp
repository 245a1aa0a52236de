#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>

#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/data/manifest.h"
#include "assay/data/path.h"
#include "data/files.h"
#include "data/model_files.h"

using namespace assay;
using namespace assay::test;

namespace {

data::Dataset dataset(const data::Tokenizer& tokenizer) {
  data::Dataset d;
  d.name = "x";
  d.tokenizer = &tokenizer;
  d.source["corpus"] = "x";
  d.splits.emplace_back("train", data::Tokenized{counting(25), 2});
  d.splits.emplace_back("val", data::Tokenized{counting(3), 1});
  return d;
}

std::vector<std::string> names_in(const std::string& directory) { return core::list_directory(directory); }

std::vector<data::ShardInfo> verify_all(const std::string& directory) {
  std::vector<data::ShardInfo> out;
  for (const std::string& name : names_in(directory)) {
    if (name.ends_with(".bin")) out.push_back(data::verify_shard(data::join_path(directory, name), 0));
  }
  return out;
}

}  // namespace

TEST_CASE("a dataset is shards of equal size and a manifest that describes them") {
  const Scratch scratch;
  const auto bytes = data::byte_tokenizer();
  const core::Value m = data::write_dataset(core::real_files(), dataset(*bytes), scratch / "d", false, 10);
  CHECK(names_in(scratch / "d") ==
        std::vector<std::string>{"manifest.json", "x_train_000000.bin", "x_train_000001.bin", "x_train_000002.bin", "x_val_000000.bin"});
  CHECK(all_of(*data::open_shards(data::find_shards(scratch / "d", "train"), 100)) == counting(25));
  CHECK(all_of(*data::open_shards(data::find_shards(scratch / "d", "val"), 100)) == counting(3));
  CHECK(core::parse_json(read(scratch / "d/manifest.json"), "manifest") == m);
  CHECK(m.at("splits").at("train").at("tokens").as_int() == 25);
  CHECK(m.at("splits").at("train").at("documents").as_int() == 2);
  CHECK(m.at("tokenizer").at("description").as_string() == "bytes");
  CHECK(m.at("hash").as_string().size() == 32);
  CHECK(data::fault_of_manifest(scratch / "d", verify_all(scratch / "d")).empty());
}

TEST_CASE("the tokenizer of a dataset is found again, bytes or model") {
  const Scratch scratch;
  data::write_dataset(core::real_files(), dataset(*data::byte_tokenizer()), scratch / "b", false);
  CHECK(data::tokenizer_beside(scratch / "b")->description() == "bytes");
  CHECK(data::tokenizer_beside(scratch / "b/x_train_000000.bin")->description() == "bytes");
  write(scratch / "m.model", small_model());
  const auto model = data::open_tokenizer(scratch / "m.model");
  data::Dataset d = dataset(*model);
  d.model_path = scratch / "m.model";
  data::write_dataset(core::real_files(), d, scratch / "s", false);
  CHECK(data::tokenizer_beside(scratch / "s")->hash() == core::hash128_hex(small_model()));
  write(scratch / "s/m.model", data::train_sentencepiece(grammar_documents(60), 380));
  CHECK(contains(refusal<core::DataError>([&] { data::tokenizer_beside(scratch / "s"); }), "tokenizer hash"));
  std::filesystem::remove(scratch / "s/m.model");
  CHECK(contains(refusal<core::DataError>([&] { data::tokenizer_beside(scratch / "s"); }), "m.model"));
}

TEST_CASE("nothing is overwritten without force, and force replaces the whole set") {
  const Scratch scratch;
  const auto bytes = data::byte_tokenizer();
  data::write_dataset(core::real_files(), dataset(*bytes), scratch.path(), false, 5);
  CHECK(contains(refusal<core::ConfigError>([&] { data::write_dataset(core::real_files(), dataset(*bytes), scratch.path(), false); }),
                 "--force"));
  CHECK(names_in(scratch.path()).size() == 7);
  data::write_dataset(core::real_files(), dataset(*bytes), scratch.path(), true);
  CHECK(names_in(scratch.path()) == std::vector<std::string>{"manifest.json", "x_train_000000.bin", "x_val_000000.bin"});
}

TEST_CASE("shards of other data, other models and files in the place of a directory are left alone") {
  const Scratch scratch;
  const auto bytes = data::byte_tokenizer();
  write_tokens(scratch / "y_train_000000.bin", {1});
  const auto refused = [&](const data::Dataset& d, const std::string& directory, bool force) {
    return refusal<core::ConfigError>([&] { data::write_dataset(core::real_files(), d, directory, force); });
  };
  CHECK(contains(refused(dataset(*bytes), scratch.path(), true), "y_train_000000.bin belongs to other data"));
  CHECK(contains(refused(dataset(*bytes), scratch / "y_train_000000.bin", true), "found a file"));
  std::filesystem::create_directory(scratch / "d");
  write(scratch / "d/m.model", "another");
  write(scratch / "m.model", small_model());
  data::Dataset d = dataset(*bytes);
  d.model_path = scratch / "m.model";
  CHECK(contains(refused(d, scratch / "d", false), "m.model exists"));
  CHECK(names_in(scratch / "d") == std::vector<std::string>{"m.model"});
}

TEST_CASE("a write that fails leaves no shard, no manifest and no directory behind") {
  const auto bytes = data::byte_tokenizer();
  int failures = 0;
  for (int64_t n = 1; n < 200; ++n) {
    const Scratch scratch;
    core::FailingFiles files(n, ENOSPC);
    try {
      data::write_dataset(files, dataset(*bytes), scratch / "d", false, 10);
      break;
    } catch (const core::ResourceError&) {
      ++failures;
      CHECK_FALSE(std::filesystem::exists(scratch / "d"));
    }
  }
  CHECK(failures > 20);
}

TEST_CASE("a directory that differs from its manifest is found out") {
  const Scratch scratch;
  const auto bytes = data::byte_tokenizer();
  data::write_dataset(core::real_files(), dataset(*bytes), scratch.path(), false, 10);
  const auto fault = [&] { return data::fault_of_manifest(scratch.path(), verify_all(scratch.path())); };
  write_tokens(scratch / "x_train_000009.bin", {1});
  CHECK(contains(fault(), "x_train_000009.bin is not listed"));
  std::filesystem::remove(scratch / "x_train_000009.bin");
  auto changed = counting(10);
  changed[3] = 9;
  write_tokens(scratch / "x_train_000000.bin", changed);
  CHECK(contains(fault(), "x_train_000000.bin hash: wanted"));
  std::filesystem::remove(scratch / "x_train_000000.bin");
  CHECK(contains(fault(), "x_train_000000.bin is listed, but"));
}

TEST_CASE("broken manifests are refused with file and field") {
  const Scratch scratch;
  const auto refused = [&](const std::string& manifest) {
    write(scratch / "manifest.json", manifest);
    return refusal<core::DataError>([&] { data::tokenizer_beside(scratch.path()); });
  };
  CHECK(contains(refused("{"), "manifest.json"));
  CHECK(contains(refused("[]"), "wanted an object"));
  CHECK(contains(refused("{}"), "format: wanted 1, found none"));
  CHECK(contains(refused("{\"format\": 2}"), "format: wanted 1, found 2"));
  CHECK(contains(refused("{\"format\": 1}"), "tokenizer"));
  CHECK(contains(refused("{\"format\": 1, \"tokenizer\": {\"file\": 3, \"hash\": \"x\"}}"), "string"));
}

TEST_CASE("a manifest cannot name a model outside of its directory") {
  const Scratch scratch;
  std::filesystem::create_directory(scratch / "d");
  write(scratch / "m.model", small_model());
  write(scratch / "d/manifest.json", "{\"format\": 1, \"tokenizer\": {\"file\": \"../m.model\", \"hash\": \"x\"}}");
  CHECK(contains(refusal<core::DataError>([&] { data::tokenizer_beside(scratch / "d"); }), "d/m.model"));
}
