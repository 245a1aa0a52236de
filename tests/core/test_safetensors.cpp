#include <doctest/doctest.h>

#include <cstring>

#include "assay/core/error.h"
#include "assay/core/safetensors.h"
#include "refusal.h"
#include "scratch.h"

using namespace assay::core;
using assay::test::contains;
using assay::test::refusal;
using assay::test::Scratch;

namespace {

std::string with_length(uint64_t length, const std::string& rest) {
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  return out + rest;
}

std::string file_of(const std::string& header, size_t data = 0) { return with_length(header.size(), header) + std::string(data, '\1'); }

SafeTensors parse(const std::string& bytes) { return SafeTensors::parse(bytes, "model.st"); }

// The error's text; "" where the bytes are accepted.
std::string refusal(const std::string& bytes) {
  return assay::test::refusal<DataError>([&] { parse(bytes); });
}

// One tensor "x" with these fields over `data` bytes.
std::string refusal_of_x(const std::string& fields, size_t data = 8) { return refusal(file_of("{\"x\":{" + fields + "}}", data)); }

std::string two(const std::string& a, const std::string& b) {
  return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + a + R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}";
}

const std::string good_x = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";

std::string sample() {
  const std::vector<TensorView> tensors{{"w", DType::f32, {2, 1}, "abcdefgh"}, {"s", DType::u8, {}, "z"}, {"e", DType::i64, {0, 3}, ""}};
  std::string out = safetensors_header(tensors, {{"case", "tiny"}, {"note", "n\xC3\xA9"}});
  for (const TensorView& t : tensors) {
    out += t.bytes;
  }
  return out;
}

}  // namespace

TEST_CASE("what is written is read back") {
  const Scratch dir;
  const std::map<std::string, std::string> metadata{{"case", "x"}, {"config", R"({"a": [1, "b"]})"}};
  std::vector<TensorView> tensors;
  std::string bytes(64, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(i * 37);
  }
  int k = 0;
  for (const DType d :
       {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32, DType::i16, DType::i8, DType::u8, DType::boolean}) {
    tensors.push_back({std::string("t") + std::to_string(k),
                       d,
                       {2, k % 3, 1},
                       std::string_view(bytes).substr(0, size_of(d) * 2 * static_cast<size_t>(k % 3))});
    ++k;
  }
  write_safetensors(real_files(), dir / "x.safetensors", tensors, metadata);
  const SafeTensors file = SafeTensors::read(dir / "x.safetensors");
  CHECK(file.metadata() == metadata);
  REQUIRE(file.tensors().size() == tensors.size());
  for (const TensorView& wanted : tensors) {
    const TensorView& got = file.at(wanted.name);
    CHECK(got.dtype == wanted.dtype);
    CHECK(got.shape == wanted.shape);
    CHECK(got.bytes == wanted.bytes);
    CHECK(got.numel() * static_cast<int64_t>(size_of(got.dtype)) == static_cast<int64_t>(got.bytes.size()));
  }
  CHECK(list_directory(dir.path()) == std::vector<std::string>{"x.safetensors"});
}

TEST_CASE("the header is padded so that tensors begin at a multiple of 8") {
  for (int n = 1; n < 20; ++n) {
    const std::string header = safetensors_header({{std::string(static_cast<size_t>(n), 'x'), DType::u8, {1}, "a"}}, {});
    CHECK(header.size() % 8 == 0);
    CHECK(parse(header + "a").tensors().size() == 1);
  }
}

TEST_CASE("loading a file and saving over it keeps the content") {
  const Scratch dir;
  write_file(real_files(), dir / "x", sample());
  const SafeTensors file = SafeTensors::read(dir / "x");
  write_safetensors(real_files(), dir / "x", file.tensors(), file.metadata());
  const SafeTensors again = SafeTensors::read(dir / "x");
  CHECK(again.metadata() == file.metadata());
  CHECK(again.at("w").bytes == "abcdefgh");
  CHECK(again.at("s").bytes == "z");
}

TEST_CASE("views stay valid when the file object moves") {
  SafeTensors file = parse(sample());
  SafeTensors moved = std::move(file);
  CHECK(moved.at("w").bytes == "abcdefgh");
  CHECK(moved.find("absent") == nullptr);
  CHECK(contains(refusal<DataError>([&] { moved.at("absent"); }), "model.st: no tensor \"absent\""));
}

TEST_CASE("whichever call of a save fails, the old file stays readable") {
  for (int64_t n = 1;; ++n) {
    const Scratch dir;
    write_file(real_files(), dir / "x", sample());
    FailingFiles files(n, ENOSPC);
    const std::string message = refusal<ResourceError>([&] { write_safetensors(files, dir / "x", {{"y", DType::u8, {1}, "y"}}, {}); });
    const bool replaced = message.empty() || contains(message, "written, but");
    CHECK(SafeTensors::read(dir / "x").tensors().front().name == (replaced ? "y" : "w"));
    CHECK(list_directory(dir.path()).size() == 1);
    if (files.calls() < n) {
      break;
    }
  }
}

TEST_CASE("a file without tensors is a file") {
  CHECK(parse(file_of("{}")).tensors().empty());
  CHECK(parse(file_of("{}   ")).metadata().empty());
  CHECK(parse(file_of(R"({"__metadata__":{}})")).tensors().empty());
}

TEST_CASE("tensors may stand in any order in the header and come out in the order of their bytes") {
  const SafeTensors file = parse(file_of(two("[4,8]", "[0,4]"), 8));
  CHECK(file.tensors()[0].name == "b");
  CHECK(file.tensors()[1].name == "a");
}

TEST_CASE("every dtype's name and size") {
  CHECK(name_of(DType::bf16) == std::string("BF16"));
  CHECK(name_of(DType::boolean) == std::string("BOOL"));
  CHECK(size_of(DType::f64) == 8);
  CHECK(size_of(DType::i16) == 2);
  CHECK(size_of(DType::boolean) == 1);
}

TEST_CASE("refused: a file too short for the header's length, naming the file") {
  for (size_t n = 0; n < 8; ++n) {
    CHECK(contains(refusal(std::string(n, '\0')), "model.st: holds " + std::to_string(n) + " bytes"));
  }
}

TEST_CASE("refused: a header length beyond the file") {
  CHECK(contains(refusal(with_length(3, "{}")), "header length is 3, wanted at most 2"));
  CHECK(contains(refusal(with_length(~uint64_t{0}, "{}")), "header length is 18446744073709551615"));
  CHECK(contains(refusal(with_length(uint64_t{1} << 63, "{}")), "header length"));
}

TEST_CASE("refused: a header above 16 MiB, even where the file is that long") {
  constexpr uint64_t cap = uint64_t{16} << 20;
  CHECK(refusal(file_of("{}" + std::string(cap - 2, ' '))).empty());
  CHECK(contains(refusal(file_of("{}" + std::string(cap - 1, ' '))), "wanted at most 16777216"));
}

TEST_CASE("refused: a header that is empty or does not start with a brace") {
  for (const char* header : {"", " ", " {}", "[]", "null", "\"a\"", "\n{}", "\xEF\xBB\xBF{}"}) {
    CAPTURE(header);
    CHECK(contains(refusal(file_of(header)), "wanted {...}"));
  }
}

TEST_CASE("refused: padding by anything but spaces") {
  for (const std::string padding : {"\n", "\t", "\r", "\1", "x", "{}", " \n "}) {
    CHECK_FALSE(refusal(file_of("{}" + padding)).empty());
  }
  CHECK_FALSE(refusal(file_of("{}" + std::string(4, '\0'))).empty());
}

TEST_CASE("refused: text that is not JSON or not UTF-8") {
  for (const char* header :
       {"{", "{,}", "{\"a\"}", "{'a':1}", "{}}", "{\"\xFF\":{}}", "{\"__metadata__\":{\"a\":\"\xC0\xAF\"}}", "{\"\xED\xA0\x80\":1}"}) {
    CAPTURE(header);
    CHECK(contains(refusal(file_of(header)), "model.st"));
  }
}

TEST_CASE("refused: duplicate keys at every level") {
  const std::string x = "\"x\":{" + good_x + "}";
  CHECK(refusal(file_of("{" + x + "}", 8)).empty());
  CHECK_FALSE(refusal(file_of("{" + x + "," + x + "}", 8)).empty());
  CHECK_FALSE(refusal_of_x(good_x + R"(,"dtype":"F32")").empty());
  CHECK_FALSE(refusal(file_of(R"({"__metadata__":{"a":"1","a":"2"}})")).empty());
  CHECK_FALSE(refusal(file_of(R"({"__metadata__":{},"__metadata__":{}})")).empty());
  CHECK_FALSE(refusal(file_of("{" + x + R"(,"\u0078":{)" + good_x + "}}", 8)).empty());
}

TEST_CASE("refused: nesting deeper than four, without recursion to match") {
  const auto with_shape = [](const std::string& shape) {
    return refusal_of_x(R"("dtype":"F32","shape":)" + shape + R"(,"data_offsets":[0,8])");
  };
  CHECK(contains(with_shape("[[2]]"), "wanted integers"));
  CHECK(contains(with_shape("[[[2]]]"), "nested deeper than 4"));
  const std::string deep(1 << 20, '[');
  CHECK_FALSE(refusal(file_of("{\"x\":" + deep + std::string(1 << 20, ']') + "}")).empty());
  CHECK_FALSE(refusal(file_of("{\"x\":" + deep + "}")).empty());
}

TEST_CASE("refused: an unknown dtype, naming tensor and dtype") {
  const std::string message = refusal_of_x(R"("dtype":"F31","shape":[2],"data_offsets":[0,8])");
  CHECK(contains(message, "tensor \"x\""));
  CHECK(contains(message, "unknown dtype \"F31\""));
  for (const char* dtype : {"\"f32\"", "\"\"", "32", "null", "[\"F32\"]"}) {
    CHECK(contains(refusal_of_x(std::string("\"dtype\":") + dtype + R"(,"shape":[2],"data_offsets":[0,8])"), "dtype"));
  }
}

TEST_CASE("refused: a shape that is not made of integers from 0") {
  for (const char* shape :
       {"[-2]", "[2.0]", "[\"2\"]", "[null]", "[true]", "2", "{}", "null", "[1e0]", "[9223372036854775808]", "[18446744073709551617]"}) {
    CAPTURE(shape);
    CHECK(contains(refusal_of_x(std::string(R"("dtype":"F32","shape":)") + shape + R"(,"data_offsets":[0,8])"), "shape"));
  }
}

TEST_CASE("refused: a size that overflows 64 bits") {
  for (const char* shape : {"[4294967296,4294967296]", "[9223372036854775807]", "[4294967296,4294967296,0]", "[2305843009213693952,1]",
                            "[3037000500,3037000500]"}) {
    CAPTURE(shape);
    CHECK(contains(refusal_of_x(std::string(R"("dtype":"F64","shape":)") + shape + R"(,"data_offsets":[0,8])"), "overflows"));
  }
}

TEST_CASE("refused: bytes that do not match shape and dtype") {
  const std::string message = refusal_of_x(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])");
  CHECK(contains(message, "hold 8 bytes"));
  CHECK(contains(message, "F32 [3] needs 12"));
  CHECK_FALSE(refusal_of_x(R"("dtype":"F32","shape":[],"data_offsets":[0,8])").empty());
  CHECK_FALSE(refusal_of_x(R"("dtype":"F32","shape":[0],"data_offsets":[0,8])").empty());
}

TEST_CASE("refused: offsets that are not two ascending integers inside the file") {
  for (const char* offsets :
       {"[8,0]", "[0]", "[]", "[0,8,8]", "[-8,0]", "[0,8.0]", "[0,16]", "[8,16]", "[0,\"8\"]", "8", "null", "[0,18446744073709551615]"}) {
    CAPTURE(offsets);
    CHECK(contains(refusal_of_x(std::string(R"("dtype":"F32","shape":[2],"data_offsets":)") + offsets), "data_offsets"));
  }
  CHECK(contains(refusal_of_x(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), "wanted two, ascending, at most 8"));
}

TEST_CASE("refused: missing and unknown fields") {
  CHECK(contains(refusal_of_x(R"("shape":[2],"data_offsets":[0,8])"), "no dtype"));
  CHECK(contains(refusal_of_x(R"("dtype":"F32","data_offsets":[0,8])"), "no shape"));
  CHECK(contains(refusal_of_x(R"("dtype":"F32","shape":[2])"), "no data_offsets"));
  CHECK(contains(refusal_of_x(good_x + R"(,"strides":[1])"), "unknown field \"strides\""));
  for (const char* entry : {"1", "null", "\"a\"", "[]"}) {
    CHECK(contains(refusal(file_of(std::string("{\"x\":") + entry + "}")), "wanted an object"));
  }
}

TEST_CASE("refused: tensors that do not begin at 0, overlap, leave a gap or end before the file") {
  CHECK(refusal(file_of(two("[0,4]", "[4,8]"), 8)).empty());
  CHECK(contains(refusal(file_of(two("[1,5]", "[5,9]"), 9)), "begins at 1, after a gap"));
  CHECK(contains(refusal(file_of(two("[0,4]", "[2,6]"), 6)), "begins at 2, inside"));
  CHECK(contains(refusal(file_of(two("[0,4]", "[0,4]"), 4)), "inside"));
  CHECK(contains(refusal(file_of(two("[0,4]", "[5,9]"), 9)), "after a gap"));
  CHECK(contains(refusal(file_of(two("[0,4]", "[4,8]"), 9)), "tensors end at 8, the data at 9"));
  CHECK(contains(refusal(file_of("{}", 1)), "tensors end at 0, the data at 1"));
}

TEST_CASE("refused: an empty tensor in the middle of another") {
  const auto header = [](const std::string& at) {
    return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"e":{"dtype":"U8","shape":[0],"data_offsets":)" + at + "}}";
  };
  CHECK(refusal(file_of(header("[0,0]"), 4)).empty());
  CHECK(refusal(file_of(header("[4,4]"), 4)).empty());
  CHECK_FALSE(refusal(file_of(header("[2,2]"), 4)).empty());
}

TEST_CASE("refused: an empty name, and metadata that is not text to text") {
  CHECK(contains(refusal(file_of("{\"\":{" + good_x + "}}", 8)), "empty name"));
  for (const char* metadata : {"1", "[]", "null", "\"a\"", R"({"a":1})", R"({"a":null})", R"({"a":["b"]})", R"({"a":{}})"}) {
    CAPTURE(metadata);
    CHECK(contains(refusal(file_of(std::string("{\"__metadata__\":") + metadata + "}")), "__metadata__"));
  }
}

TEST_CASE("no control character of a hostile header reaches a message") {
  const std::string messages[] = {refusal(file_of(R"({"\u001b[2J":{}})")), refusal(file_of("{\"a\":\x1b}")), refusal(file_of("\x1b[2J")),
                                  refusal_of_x(R"("dtype":"\u009b\u0007","shape":[2],"data_offsets":[0,8])"),
                                  refusal(file_of(R"({"__metadata__":{"\u001b":1}})"))};
  for (const std::string& message : messages) {
    CHECK_FALSE(message.empty());
    CHECK(printable(message, message.size()) == message);
  }
}

TEST_CASE("every truncation of a file is refused") {
  const std::string whole = sample();
  REQUIRE(refusal(whole).empty());
  for (size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    CHECK_FALSE(refusal(whole.substr(0, n)).empty());
  }
  CHECK_FALSE(refusal(whole + '\0').empty());
}

// A flip that still parses may only have changed text that carries no layout: a name or metadata.
TEST_CASE("every flipped bit of a header is refused or leaves sizes and order as they were") {
  const std::string whole = sample();
  const SafeTensors original = parse(whole);
  const size_t header_end = whole.size() - 9;
  int refused = 0;
  for (size_t bit = 0; bit < header_end * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    try {
      const SafeTensors file = parse(flipped);
      CAPTURE(bit);
      size_t total = 0;
      for (const TensorView& t : file.tensors()) {
        total += t.bytes.size();
        CHECK(t.numel() * static_cast<int64_t>(size_of(t.dtype)) == static_cast<int64_t>(t.bytes.size()));
      }
      CHECK(total == 9);
    } catch (const DataError&) {
      ++refused;
    }
  }
  CHECK(original.tensors().size() == 3);
  CHECK(refused > static_cast<int>(header_end) * 4);
}

TEST_CASE("flipped bits of the payload parse and show up in the bytes") {
  const std::string whole = sample();
  std::string flipped = whole;
  flipped[whole.size() - 9] ^= 1;
  CHECK(parse(flipped).at("w").bytes == "`bcdefgh");
}

TEST_CASE("the writer refuses what the reader would") {
  const auto refused = [](const std::vector<TensorView>& tensors, const std::map<std::string, std::string>& metadata = {}) {
    return refusal<ConfigError>([&] { safetensors_header(tensors, metadata); });
  };
  const TensorView x{"x", DType::u8, {1}, "a"};
  CHECK(refused({x}).empty());
  CHECK(contains(refused({x, x}), "two of that name"));
  CHECK(contains(refused({{"", DType::u8, {1}, "a"}}), "empty"));
  CHECK_FALSE(refused({{"__metadata__", DType::u8, {1}, "a"}}).empty());
  CHECK_FALSE(refused({{"\xFF", DType::u8, {1}, "a"}}).empty());
  CHECK(contains(refused({{"x", DType::f32, {1}, "a"}}), "1 bytes do not match F32 [1]"));
  CHECK_FALSE(refused({{"x", DType::u8, {-1}, "a"}}).empty());
  CHECK_FALSE(refused({{"x", DType::u8, {int64_t{1} << 40, int64_t{1} << 40}, ""}}).empty());
  CHECK_FALSE(refused({x}, {{"k", "\xFF"}}).empty());
  CHECK(contains(refused({x}, {{"k", std::string(size_t{16} << 20, 'a')}}), "wanted at most 16777216"));
}

TEST_CASE("the number of elements is checked") {
  CHECK(TensorView{"x", DType::u8, {}, ""}.numel() == 1);
  CHECK(TensorView{"x", DType::u8, {3, 0}, ""}.numel() == 0);
  CHECK_THROWS_AS((TensorView{"x", DType::u8, {-1}, ""}.numel()), DataError);
  CHECK_THROWS_AS((TensorView{"x", DType::u8, {int64_t{1} << 40, int64_t{1} << 40}, ""}.numel()), DataError);
}
