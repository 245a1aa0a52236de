#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "assay/core/error.h"
#include "data/files.h"

using namespace assay;
using namespace assay::test;

namespace {

std::string shard_of(const std::vector<uint16_t>& tokens) {
  const Scratch scratch;
  write_tokens(scratch / "x.bin", tokens);
  return read(scratch / "x.bin");
}

// What opening a shard with these bytes says.
std::string refusal(const std::string& bytes, int64_t vocab = 1000) {
  const Scratch scratch;
  write(scratch / "broken.bin", bytes);
  return test::refusal<core::DataError>([&] { data::open_shard(scratch / "broken.bin", vocab); });
}

std::string with_field(size_t index, int32_t value) {
  std::string bytes = shard_of({1, 2, 3});
  std::memcpy(bytes.data() + 4 * index, &value, 4);
  return bytes;
}

void check_says(const std::string& message, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) CHECK_MESSAGE(contains(message, part), message);
}

}  // namespace

TEST_CASE("a shard is a header of 1024 bytes and two bytes a token") {
  const std::string bytes = shard_of({1, 2, 0x1234});
  REQUIRE(bytes.size() == 1024 + 6);
  CHECK(bytes.substr(0, 12) == std::string("\x88\xD8\x34\x01\x01\0\0\0\x03\0\0\0", 12));
  CHECK(bytes.substr(12, 1012) == std::string(1012, '\0'));
  CHECK(bytes.substr(1024) == std::string("\1\0\2\0\x34\x12", 6));
}

TEST_CASE("what was written to a shard is read from it") {
  const Scratch scratch;
  write_tokens(scratch / "a.bin", counting(5000));
  const auto shard = data::open_shard(scratch / "a.bin", 5000);
  CHECK(all_of(*shard) == counting(5000));
  std::vector<uint16_t> part(10);
  shard->read(4990, 10, part.data());
  CHECK(part == counting(10, 4990));
}

TEST_CASE("a shard without tokens is sound and empty") {
  const Scratch scratch;
  write_tokens(scratch / "a.bin", {});
  CHECK(data::open_shard(scratch / "a.bin", 10)->size() == 0);
  CHECK(data::verify_shard(scratch / "a.bin", 10).max_id == 0);
}

TEST_CASE("verification counts tokens and finds the largest id") {
  const Scratch scratch;
  write_tokens(scratch / "a.bin", {3, 65535, 7});
  const data::ShardInfo info = data::verify_shard(scratch / "a.bin", 0);
  CHECK(info.tokens == 3);
  CHECK(info.max_id == 65535);
  CHECK(info.hash.size() == 32);
}

TEST_CASE("every broken shard is refused with file, field, wanted and found") {
  const std::string good = shard_of({1, 2, 3});
  check_says(refusal(good.substr(0, good.size() - 1)), {"broken.bin", "token count", "3 tokens", "1030", "1029"});
  check_says(refusal(good + "x"), {"broken.bin", "token count", "1030", "1031"});
  check_says(refusal(good + "xx"), {"token count", "1030", "1032"});
  check_says(refusal(""), {"broken.bin", "header", "1024", "holds 0"});
  check_says(refusal(good.substr(0, 1023)), {"header", "1024", "1023"});
  check_says(refusal(with_field(0, 20240801)), {"magic", "20240520", "20240801"});
  check_says(refusal(with_field(1, 7)), {"version", "wanted 1", "found 7"});
  check_says(refusal(with_field(2, -1)), {"token count", "found -1"});
  check_says(refusal(with_field(2, 2147483647)), {"token count", "2147483647", "4294968318", "1030"});
  check_says(refusal(with_field(2, 2)), {"token count", "2 tokens", "1028", "1030"});
}

TEST_CASE("an id outside the vocabulary is refused with its place") {
  check_says(refusal(shard_of({1, 2, 50, 3}), 50), {"broken.bin", "token 2", "below 50", "found 50"});
  check_says(refusal(shard_of({65535}), 65535), {"token 0", "below 65535", "found 65535"});
  std::vector<uint16_t> late(3'000'000, 7);
  late[2'999'999] = 9;
  check_says(refusal(shard_of(late), 9), {"token 2999999", "found 9"});
}

TEST_CASE("directories, loops of links and missing files are refused by name") {
  const Scratch scratch;
  const auto refused = [&](const std::string& name) {
    return test::refusal<core::DataError>([&] { data::open_shard(scratch / name, 10); });
  };
  std::filesystem::create_directory(scratch / "folder.bin");
  std::filesystem::create_symlink("loop.bin", scratch / "loop.bin");
  REQUIRE(::mkfifo((scratch / "pipe.bin").c_str(), 0600) == 0);
  check_says(refused("folder.bin"), {"folder.bin", "regular file", "directory"});
  check_says(refused("loop.bin"), {"loop.bin", "symbolic links"});
  check_says(refused("pipe.bin"), {"pipe.bin", "pipe"});
  check_says(refused("nothing.bin"), {"nothing.bin", "No such file"});
}

TEST_CASE("a shard that shrinks while it is open is an error, not a signal") {
  const Scratch scratch;
  write_tokens(scratch / "a.bin", counting(100));
  const auto shard = data::open_shard(scratch / "a.bin", 100);
  std::filesystem::resize_file(scratch / "a.bin", 1024 + 50);
  std::vector<uint16_t> out(100);
  check_says(refusal<core::DataError>([&] { shard->read(0, 100, out.data()); }), {"a.bin", "ends at byte"});
}

TEST_CASE("reading beyond the end is an error for every kind of source") {
  const Scratch scratch;
  write_tokens(scratch / "a.bin", counting(4));
  const auto memory = data::tokens_in_memory(counting(4));
  const auto shard = data::open_shard(scratch / "a.bin", 10);
  const auto both = data::open_shards({scratch / "a.bin", scratch / "a.bin"}, 10);
  std::vector<uint16_t> out(10);
  for (const data::TokenSource* s : {memory.get(), shard.get(), both.get()}) {
    CHECK_THROWS_AS(s->read(s->size() - 1, 2, out.data()), core::DataError);
    CHECK_THROWS_AS(s->read(s->size() + 1, 0, out.data()), core::DataError);
    CHECK_THROWS_AS(s->read(~uint64_t{0}, 2, out.data()), core::DataError);
    CHECK_NOTHROW(s->read(s->size(), 0, out.data()));
  }
}

TEST_CASE("several shards read like their concatenation at every offset and length") {
  const Scratch scratch;
  const std::vector<size_t> sizes{3, 1, 0, 5, 1};  // a single-token shard and an empty one among them
  std::vector<std::string> paths;
  std::vector<uint16_t> whole;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto part = counting(sizes[i], static_cast<uint16_t>(whole.size()));
    paths.push_back(scratch / ("s" + std::to_string(i)));
    write_tokens(paths.back(), part);
    whole.insert(whole.end(), part.begin(), part.end());
  }
  const auto source = data::open_shards(paths, 100);
  REQUIRE(source->size() == whole.size());
  for (size_t at = 0; at <= whole.size(); ++at) {
    for (size_t n = 0; at + n <= whole.size(); ++n) {
      std::vector<uint16_t> out(n);
      source->read(at, n, out.data());
      CHECK(out ==
            std::vector<uint16_t>(whole.begin() + static_cast<std::ptrdiff_t>(at), whole.begin() + static_cast<std::ptrdiff_t>(at + n)));
    }
  }
}

TEST_CASE("the hash depends on the tokens, not on how they are spread over files") {
  const Scratch scratch;
  write_tokens(scratch / "a", counting(3));
  write_tokens(scratch / "b", counting(4, 3));
  const std::string whole = data::tokens_in_memory(counting(7))->hash();
  CHECK(whole.size() == 32);
  CHECK(data::open_shards({scratch / "a", scratch / "b"}, 100)->hash() == whole);
  CHECK(data::open_shards({scratch / "b", scratch / "a"}, 100)->hash() != whole);
  CHECK(data::tokens_in_memory(counting(6))->hash() != whole);
}

TEST_CASE("shards of a directory are those of the split, in order of their names") {
  const Scratch scratch;
  for (const char* name :
       {"b_train_000001.bin", "b_train_000000.bin", "b_val_000000.bin", "b_train_000000.txt", ".b_train_000000.bin", "other.bin"}) {
    write_tokens(scratch / name, {1});
  }
  CHECK(data::find_shards(scratch.path(), "train") ==
        std::vector<std::string>{scratch / "b_train_000000.bin", scratch / "b_train_000001.bin"});
  CHECK(data::find_shards(scratch.path(), "val") == std::vector<std::string>{scratch / "b_val_000000.bin"});
  CHECK(data::find_shards(scratch / "b_tr*.bin", "train").size() == 2);
  CHECK(data::find_shards(scratch / "other.bin", "train") == std::vector<std::string>{scratch / "other.bin"});
}

TEST_CASE("a place without shards is refused with the names that were wanted") {
  const Scratch scratch;
  check_says(refusal<core::DataError>([&] { data::find_shards(scratch.path(), "val"); }), {scratch.path(), "*_val_*.bin", "none"});
  check_says(refusal<core::DataError>([&] { data::find_shards(scratch / "*.bin", "val"); }), {"no file matches"});
}

TEST_CASE("a write that fails leaves the old shard whole") {
  const Scratch scratch;
  const std::string path = scratch / "a.bin";
  write_tokens(path, {1, 2, 3});
  int failures = 0;
  for (int64_t n = 1; n < 100; ++n) {
    core::FailingFiles files(n, ENOSPC);
    try {
      data::write_shard(files, path, {4, 5});
      break;
    } catch (const core::ResourceError&) {
      ++failures;
    }
    const auto tokens = all_of(*data::open_shard(path, 10));
    CHECK((tokens == std::vector<uint16_t>{1, 2, 3} || tokens == std::vector<uint16_t>{4, 5}));
  }
  CHECK(failures >= 4);
  CHECK(all_of(*data::open_shard(path, 10)) == std::vector<uint16_t>{4, 5});
}
