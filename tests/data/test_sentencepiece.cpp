#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "assay/core/error.h"
#include "assay/data/byte_count.h"
#include "assay/data/sentencepiece_model.h"
#include "data/files.h"
#include "data/model_files.h"

using namespace assay;
using namespace assay::test;

namespace {

struct Model {
  explicit Model(std::string_view bytes = small_model()) {
    write(scratch / "small.model", bytes);
    tokenizer = data::sentencepiece_tokenizer(scratch / "small.model");
  }
  Scratch scratch;
  std::unique_ptr<data::Tokenizer> tokenizer;
};

std::string refusal(const std::string& bytes) {
  const Scratch scratch;
  write(scratch / "hostile.model", bytes);
  return test::refusal<core::DataError>([&] { data::sentencepiece_tokenizer(scratch / "hostile.model"); });
}

// A table of rules: units of the double array, then strings.
std::string table(const std::vector<uint32_t>& units, std::string_view strings) {
  const auto size = static_cast<uint32_t>(units.size() * 4);
  std::string out(4 + size, '\0');
  std::memcpy(out.data(), &size, 4);
  if (size > 0) std::memcpy(out.data() + 4, units.data(), size);
  return out.append(strings);
}

constexpr uint32_t kValueFollows = 1u << 8, kIsValue = 1u << 31;
constexpr uint32_t kNobody = 1u << 31 | 1u << 30;  // a value that no unit leads to
constexpr uint32_t offset(uint32_t o) { return o << 10; }

// One rule: the byte 'a' becomes the string at `value`.
std::vector<uint32_t> one_rule(uint32_t value) {
  std::vector<uint32_t> units(512, kNobody);
  units[0] = offset(256);
  units[256 ^ 'a'] = 'a' | kValueFollows | offset(256 ^ 'a' ^ 128);
  units[128] = kIsValue | value;
  return units;
}

}  // namespace

TEST_CASE("a trained model has the promised ids and gives text back") {
  const Model m;
  const auto& t = *m.tokenizer;
  CHECK(t.vocab_size() == 400);
  CHECK(t.bos() == 1);
  CHECK(t.eos() == 2);
  CHECK(t.piece(0) == "<pad>");
  CHECK(t.piece(3) == "<unk>");
  CHECK(t.piece(4) == "<0x00>");
  CHECK(t.piece(4 + 0x0A) == "<0x0A>");
  for (const std::string& text : {std::string("Anna has three apples."), std::string("  two  spaces, \t tab,\n\nlines \r\n"),
                                  std::string("h\xC3\xA9 \xE4\xBD\xA0 \xF0\x9F\x98\x80"), std::string("zero \0 byte", 11),
                                  std::string("<s> </s> <0x0A>"), std::string(), std::string(" "), std::string("\n")}) {
    CHECK(t.decode(t.encode(text)) == text);
  }
}

TEST_CASE("documents of the grammar come back and need fewer tokens than bytes") {
  const Model m;
  size_t bytes = 0, tokens = 0;
  for (const std::string& d : grammar_documents(20)) {
    const auto ids = m.tokenizer->encode(d);
    CHECK(m.tokenizer->decode(ids) == d);
    bytes += d.size();
    tokens += ids.size();
  }
  CHECK(tokens * 3 < bytes * 2);
}

TEST_CASE("encoding line by line gives what encoding the whole gives") {
  CHECK(data::check_sentencepiece_model(small_model(), "m").lines_are_independent);
  // A rule for a character that no text has keeps the model from being taken apart, and changes nothing else.
  std::vector<uint32_t> units(256, kNobody);
  units[0] = 'x';
  const std::string idle = small_model() + normalizer(table(units, std::string("b\0", 2)));
  CHECK_FALSE(data::check_sentencepiece_model(idle, "m").lines_are_independent);
  const Model by_line, whole(idle);
  std::string all = "\n\n begins\n";
  for (const std::string& d : grammar_documents(20)) all += d + " \n";
  CHECK(by_line.tokenizer->encode(all) == whole.tokenizer->encode(all));
}

TEST_CASE("models that rewrite text, or have pieces across lines, are not taken apart") {
  const auto independent = [](const std::string& more) {
    return data::check_sentencepiece_model(letters() + more, "m").lines_are_independent;
  };
  const std::string bpe = field(2, field(3, uint64_t{2}) + field(35, uint64_t{1})),
                    still = field(3, field(3, uint64_t{0}) + field(4, uint64_t{0}));
  CHECK(independent(bpe + still));
  CHECK_FALSE(independent(bpe));
  CHECK_FALSE(independent(bpe + still + field(3, field(3, uint64_t{1}))));
  CHECK_FALSE(independent(bpe + still + field(3, field(4, uint64_t{1}))));
  CHECK_FALSE(independent(bpe + still + piece("a\nb")));
  CHECK_FALSE(independent(trainer(2) + still));
  CHECK_FALSE(independent(bpe + still + trainer(1)));
}

TEST_CASE("control ids give no text, and stretches between them are decoded each for itself") {
  const Model m;
  std::vector<uint16_t> ids{1};
  for (const char* text : {" one", " two"}) {
    for (const uint16_t id : m.tokenizer->encode(text)) ids.push_back(id);
    ids.push_back(1);
  }
  CHECK(m.tokenizer->decode(ids) == " one two");
}

TEST_CASE("ids beyond the model are refused") {
  const Model m;
  CHECK(contains(refusal<core::DataError>([&] { m.tokenizer->decode({400}); }), "id 400 is none of the 400 ids"));
  CHECK_THROWS_AS(m.tokenizer->piece(-1), core::DataError);
}

TEST_CASE("training is deterministic, and the hash tells models apart") {
  CHECK(data::train_sentencepiece(grammar_documents(60), 400) == small_model());
  const Model a, b(data::train_sentencepiece(grammar_documents(60), 380));
  CHECK(a.tokenizer->hash() != b.tokenizer->hash());
  CHECK(a.tokenizer->hash() == Model().tokenizer->hash());
  CHECK(a.tokenizer->description() == "sentencepiece small.model");
}

TEST_CASE("training learns from lines beyond the library's limit, in any script") {
  std::string line;
  for (int i = 0; i < 2000; ++i) line += "wagon wheels ";
  std::string unbroken;
  for (int i = 0; i < 3000; ++i) unbroken += "\xE4\xBD\xA0\xE5\xA5\xBD";
  const Model m(data::train_sentencepiece({line, unbroken}, 300));
  CHECK(m.tokenizer->encode("wagon wheels").size() <= 3);
}

TEST_CASE("sizes of vocabularies that cannot be are refused") {
  for (const int64_t size : {-1, 0, 260, 65537}) {
    CHECK(contains(refusal<core::ConfigError>([&] { data::train_sentencepiece({"text"}, size); }), "vocab-size"));
  }
  CHECK(contains(refusal<core::DataError>([&] { data::train_sentencepiece({"too little text for this"}, 60000); }), "vocab-size 60000"));
  CHECK_THROWS_AS(data::train_sentencepiece({}, 300), core::DataError);
}

TEST_CASE("the byte table counts a space after an ordinary token only") {
  const Model m;
  const auto table = m.tokenizer->byte_table();
  REQUIRE(table.bytes.size() == 400);
  for (size_t id = 0; id < 4; ++id) CHECK((table.bytes[id] == 0 && table.boundary[id] == 1 && table.leading_space[id] == 0));
  for (size_t id = 4; id < 260; ++id) CHECK((table.bytes[id] == 1 && table.boundary[id] == 0 && table.leading_space[id] == 0));
  for (size_t id = 260; id < 400; ++id) {
    const std::string text = m.tokenizer->piece(static_cast<int64_t>(id));
    const bool space = text.starts_with("\xE2\x96\x81");
    CHECK(table.leading_space[id] == (space ? 1 : 0));
    CHECK(table.bytes[id] == static_cast<int32_t>(text.size()) - (space ? 3 : 0));
    CHECK(table.boundary[id] == 0);
  }
}

TEST_CASE("the bytes of a document are those of its text") {
  const Model m;
  const std::string text = "Anna has three apples.\nTom waits.";
  auto tokens = data::tokenize({text}, *m.tokenizer).tokens;
  CHECK(data::count_bytes(*data::tokens_in_memory(tokens), *m.tokenizer, 0, tokens.size()).table_bytes == text.size());
}

TEST_CASE("a file that is no model is refused by name") {
  CHECK(contains(refusal("just a text, not a model"), "hostile.model"));
  CHECK(contains(refusal(""), "no pieces"));
  CHECK(contains(refusal(std::string("\0\0\0\0", 4)), "field number 0"));
  CHECK(contains(refusal(small_model().substr(0, small_model().size() - 1)), "hostile.model"));
  const Scratch scratch;
  write(scratch / "huge.model", std::string((16 << 20) + 1, 'x'));
  CHECK(contains(refusal<core::DataError>([&] { data::sentencepiece_tokenizer(scratch / "huge.model"); }), "16777217"));
}

TEST_CASE("the smallest model is taken") {
  const Model m(letters());
  CHECK(m.tokenizer->vocab_size() == 5);
  CHECK_FALSE(m.tokenizer->encode("ab").empty());
}

TEST_CASE("pieces that would mislead the library are refused") {
  CHECK(contains(refusal(letters() + piece("")), "piece 5: it has no text"));
  CHECK(contains(refusal(letters() + field(1, field(2, 0.0f))), "piece 5: it has no text"));
  CHECK(contains(refusal(letters() + piece(std::string("c\0d", 3))), "piece 5: text holds a zero byte"));
  CHECK(contains(refusal(letters() + piece("c\xFF")), "piece 5: text is not UTF-8 at byte 1"));
  CHECK(contains(refusal(letters() + piece(std::string(2000, 'c'))), "text of 2000 bytes"));
  CHECK(contains(refusal(letters() + piece("c", 7)), "type 7"));
  CHECK(contains(refusal(letters() + piece("c", kNormal, std::nanf(""))), "score"));
  CHECK(contains(refusal(letters() + piece("c", kNormal, std::numeric_limits<float>::infinity())), "score"));
  CHECK(contains(refusal(letters() + piece("a")), "hostile.model"));         // twice
  CHECK(contains(refusal(piece("a") + piece("b")), "hostile.model"));        // no unknown piece
  CHECK(contains(refusal(letters() + piece("x", kByte)), "hostile.model"));  // a byte that is none
  std::string many = letters();
  for (int i = 0; i < 65536; ++i) many += piece("p" + std::to_string(i));
  CHECK(contains(refusal(many), "more than 65536 pieces"));
}

TEST_CASE("fields with the wrong wire type, groups and overlong numbers are refused") {
  CHECK(contains(refusal(letters() + field(2, uint64_t{1})), "field 2 has wire type 0"));
  CHECK(contains(refusal(letters() + field(1, field(1, uint64_t{9}))), "field 1 has wire type 0"));
  CHECK(contains(refusal(letters() + "\x0B\x0C"), "wire type 3"));
  CHECK(contains(refusal(letters() + std::string(11, '\xFF')), "longer than ten bytes"));
  CHECK(contains(refusal(letters() + "\x12\x7F"), "127 bytes where 0 are left"));
  CHECK(contains(refusal(letters() + trainer(5)), "model_type 5"));
  CHECK(contains(refusal(letters() + field(2, field(44, std::string(300, 'u')))), "unk_surface of 300 bytes"));
}

TEST_CASE("a normalisation table that is sound is used") {
  const std::string rules = table(one_rule(0), std::string("b\0", 2));
  CHECK(data::fault_of_normalization_table(rules).empty());
  const Model m(letters() + trainer(2) + field(3, field(1, "rules") + field(2, rules) + field(3, uint64_t{0})));
  CHECK(m.tokenizer->encode("a") == m.tokenizer->encode("b"));
}

TEST_CASE("a normalisation table that points outside, in circles or to unending text is refused") {
  const auto fault = [](const std::string& t) { return data::fault_of_normalization_table(t); };
  CHECK(fault("").empty());
  CHECK(contains(fault("abc"), "3 bytes"));
  CHECK(contains(fault(table({}, std::string("\0", 1))), "no units"));
  CHECK(contains(fault(table(one_rule(0), "b")), "does not end"));
  CHECK(contains(fault(table(one_rule(2), std::string("b\0", 2))), "points to byte 2 of 2"));
  CHECK(contains(fault(table(one_rule(0x7FFFFFFF), std::string("b\0", 2))), "points to byte"));
  CHECK(contains(fault(table(one_rule(0), std::string(600, 'b') + '\0')), "more than 512 bytes"));
  CHECK(contains(fault(std::string(2 << 20, '\0')), "at most"));
  CHECK(contains(fault(std::string("\xFF\xFF\xFF\x7F rest", 9)), "its trie has"));

  auto outside = one_rule(0);
  outside[0] = offset(512);
  CHECK(contains(fault(table(outside, std::string("b\0", 2))), "unit 0 points to unit 512 of 512"));

  auto circle = one_rule(0);  // "a", "aa", "aaa", ...
  circle[256 ^ 'a'] = 'a' | kValueFollows | offset('a');
  circle[256] = kIsValue;
  CHECK(contains(fault(table(circle, std::string("b\0", 2))), "can be reached from itself"));
  CHECK(contains(refusal(letters() + normalizer(table(circle, std::string("b\0", 2)))), "normalizer_spec: precompiled_charsmap"));
  CHECK(contains(refusal(letters() + field(5, field(2, table(circle, std::string("b\0", 2))))), "denormalizer_spec: precompiled_charsmap"));
}

TEST_CASE("more prefixes with rules than the library has room for are refused") {
  // A chain: unit of depth d has label 'a', its children begin in block d + 1, and a rule ends at each depth.
  const auto chain = [](uint32_t length) {
    std::vector<uint32_t> units((length + 2) * 256, kNobody);
    units[0] = offset(256);
    for (uint32_t d = 1; d <= length; ++d) {
      const uint32_t at = d * 256 ^ 'a';
      units[at] = 'a' | kValueFollows | offset(at ^ ((d + 1) * 256));
      units[(d + 1) * 256] = kIsValue;
    }
    return table(units, std::string("b\0", 2));
  };
  CHECK(data::fault_of_normalization_table(chain(32)).empty());
  CHECK(contains(data::fault_of_normalization_table(chain(33)), "more than 32 rules"));
}

TEST_CASE("one flipped byte anywhere in a model is an error or a model, never a crash") {
  const std::string& good = small_model();
  int refused = 0;
  for (size_t at = 0; at < good.size(); at += 7) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << (at % 8)));
    const Scratch scratch;
    write(scratch / "flipped.model", bytes);
    try {
      const auto t = data::sentencepiece_tokenizer(scratch / "flipped.model");
      const auto ids = t->encode("Anna has three apples. \xC3\xA9");
      CHECK(t->decode(ids).size() < 1000);
    } catch (const core::DataError&) {
      ++refused;
    }
  }
  CHECK(refused > 0);
}
