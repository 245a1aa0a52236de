#include <doctest/doctest.h>
#include <sentencepiece_trainer.h>

#include <unordered_map>

#include "assay/core/error.h"
#include "assay/data/byte_count.h"
#include "assay/data/corpus.h"
#include "data/files.h"
#include "data/model_files.h"

using namespace assay;
using namespace assay::test;
using data::ByteCount;
using Documents = std::vector<std::string>;
using Settings = std::unordered_map<std::string, std::string>;

namespace {

class Lines final : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(Documents lines) : lines_(std::move(lines)) {}
  bool done() const override { return at_ == lines_.size(); }
  void Next() override { ++at_; }
  const std::string& value() const override { return lines_[at_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  Documents lines_;
  size_t at_ = 0;
};

Documents sentences() {
  Documents out;
  for (const std::string& d : grammar_documents(40)) {
    for (size_t at = 0, end = 0; at < d.size(); at = end + 1) {
      end = std::min(d.find('\n', at), d.size());
      if (end > at) out.push_back(d.substr(at, end - at));
    }
  }
  return out;
}

// What the library's trainer makes by `more` on top of the settings of this project's own models.
std::string trained(const Settings& more, int vocab_size = 400) {
  Settings all{{"model_type", "bpe"},
               {"vocab_size", std::to_string(vocab_size)},
               {"byte_fallback", "true"},
               {"normalization_rule_name", "identity"},
               {"add_dummy_prefix", "false"},
               {"remove_extra_whitespaces", "false"},
               {"pad_id", "0"},
               {"bos_id", "1"},
               {"eos_id", "2"},
               {"unk_id", "3"},
               {"num_threads", "1"},
               {"minloglevel", "3"},
               {"hard_vocab_limit", "false"}};
  for (const auto& [key, value] : more) all[key] = value;
  Lines lines(sentences());
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(all, &lines, &model);
  REQUIRE_MESSAGE(status.ok(), status.ToString());
  return model;
}

std::unique_ptr<data::Tokenizer> opened(const std::string& model) {
  const Scratch scratch;
  write(scratch / "m.model", model);
  return data::sentencepiece_tokenizer(scratch / "m.model");
}

// Texts of every kind that a tokenizer may do something about.
const Documents& awkward() {
  static const Documents documents{
      "Anna has three apples.",
      " a space begins, two  follow, one ends ",
      "lines\nand\ttabs\r\n\n",
      "h\xC3\xA9llo \xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x98\x80",                                // é, 你好, an emoji
      "\xEF\xAC\x81ne \xEF\xBC\xA1\xEF\xBC\xA2 \xC2\xBD \xEF\xB7\xBA e\xCC\x81 \xE2\x91\xB4",  // ligature, full width, ½, U+FDFA, ⑴
      "<s> </s> <0x0A> <unk>",
      "",
      " ",
      "qqq"};
  return documents;
}

bool contains_truth(const ByteCount& count, uint64_t truth) {
  return count.lower <= truth && truth <= count.upper && count.exact == (count.lower == count.upper);
}

ByteCount of_tokens(const Documents& documents, const data::Tokenizer& t) {
  const auto tokens = data::tokenize(documents, t).tokens;
  return data::count_bytes(*data::tokens_in_memory(tokens), t, 0, tokens.size());
}

uint64_t size_of(const Documents& documents) {
  uint64_t bytes = 0;
  for (const std::string& d : documents) bytes += d.size();
  return bytes;
}

// Tokens alone: exact where promised, and otherwise bounds that hold the truth and a reason. With the text: exact always.
void check_all(const data::Tokenizer& t, bool exact) {
  for (const std::string& document : awkward()) {
    INFO(document);
    const ByteCount count = of_tokens({document}, t);
    CHECK(contains_truth(count, document.size()));
    if (exact) CHECK(count.exact);
    if (!count.exact) CHECK_FALSE(count.reason.empty());
    const ByteCount known = data::count_bytes(Documents{document}, t);
    CHECK(known.exact);
    CHECK(known.lower == document.size());
  }
  CHECK(contains_truth(of_tokens(awkward(), t), size_of(awkward())));
  CHECK(data::count_bytes(awkward(), t).lower == size_of(awkward()));
}

}  // namespace

TEST_CASE("bytes of the byte tokenizer are exact, and the table agrees") {
  const auto t = data::byte_tokenizer();
  check_all(*t, true);
  const ByteCount count = of_tokens(awkward(), *t);
  CHECK(count.table_bytes == size_of(awkward()));
  CHECK(count.decoded_bytes == size_of(awkward()));
  CHECK(count.reason.empty());
}

TEST_CASE("with byte fallback, identity normalisation and no dummy prefix bytes are exact") {
  const auto t = opened(small_model());
  check_all(*t, true);
  const ByteCount count = of_tokens(awkward(), *t);
  CHECK(contains(count.reason, "without U+2581"));
}

TEST_CASE("the space that begins a document is counted, though the byte table leaves it out") {
  const auto t = opened(small_model());
  const ByteCount count = of_tokens({" Anna has apples."}, *t);
  CHECK(count.lower == 17);
  CHECK(count.exact);
  CHECK(count.table_bytes == 16);
  CHECK(contains(count.reason, "the byte table differs"));
  CHECK_FALSE(contains(of_tokens({"Anna has apples."}, *t).reason, "table"));
}

TEST_CASE("unknown ids have bounds: at least a byte, and no upper end") {
  const auto t = opened(trained({{"byte_fallback", "false"}}));
  check_all(*t, false);
  const std::string text = "Anna has \xE4\xBD\xA0\xE5\xA5\xBD apples.";
  const ByteCount count = of_tokens({text}, *t);
  CHECK_FALSE(count.exact);
  CHECK(count.lower == text.size() - 6 + 1);
  CHECK(count.upper == ByteCount::kUnbounded);
  CHECK(contains(count.reason, "1 unknown id,"));
  CHECK(of_tokens({"Anna has three apples."}, *t).exact);
}

TEST_CASE("a dummy prefix is no text") {
  const auto t = opened(trained({{"add_dummy_prefix", "true"}}));
  check_all(*t, true);
  const Documents documents{"Anna has three apples.", "Tom waits.", " and"};
  CHECK(of_tokens(documents, *t).lower == size_of(documents));
  CHECK(of_tokens(documents, *t).exact);
}

TEST_CASE("where no control id shows the beginnings of documents, a dummy prefix leaves bounds") {
  const auto t = opened(trained({{"add_dummy_prefix", "true"}, {"bos_id", "-1"}, {"eos_id", "-1"}, {"pad_id", "-1"}, {"unk_id", "0"}}));
  REQUIRE(t->bos() < 0);
  const Documents documents{"Anna has three apples.", "Tom waits.", "Anna has three apples."};
  const auto tokens = data::tokenize(documents, *t).tokens;
  const auto first = data::tokenize({documents[0]}, *t).tokens;
  const ByteCount count = data::count_bytes(*data::tokens_in_memory(tokens), *t, first.size() - 1, tokens.size());
  CHECK(contains_truth(count, documents[1].size() + documents[2].size()));
  CHECK_FALSE(count.exact);
  CHECK(contains(count.reason, "no control id"));
  const ByteCount known = data::count_bytes(documents, *t, first.size() - 1, tokens.size());
  CHECK(known.exact);
  CHECK(known.lower == documents[1].size() + documents[2].size());
}

TEST_CASE("a dummy space behind each document leaves bounds") {
  const auto t = opened(trained({{"add_dummy_prefix", "true"}, {"treat_whitespace_as_suffix", "true"}}));
  check_all(*t, false);
  const ByteCount count = of_tokens({"Anna has three apples.", "Tom waits."}, *t);
  CHECK(contains_truth(count, 32));
  CHECK(contains(count.reason, "behind each document"));
}

TEST_CASE("a normalising model is marked, with bounds that hold the truth") {
  const auto t =
      opened(trained({{"normalization_rule_name", "nmt_nfkc"}, {"remove_extra_whitespaces", "true"}, {"add_dummy_prefix", "true"}}));
  check_all(*t, false);
  const std::string text = "\xEF\xAC\x81ne \xEF\xBC\xA1";  // two characters of three bytes become "fi" and "A"
  const ByteCount count = of_tokens({text}, *t);
  CHECK(count.decoded_bytes == 6);
  CHECK_FALSE(count.exact);
  CHECK(count.upper == ByteCount::kUnbounded);
  CHECK(contains(count.reason, "the tokenizer normalises text: 6 bytes are those of the normalised text"));
  const ByteCount known = data::count_bytes(Documents{text}, *t);
  CHECK(known.lower == 9);
  CHECK(known.exact);
  CHECK(contains(known.reason, "do not come back from their tokens: 1 of 1"));
  for (const char* long_one : {"\xEF\xB7\xBA", "\xEF\xB7\xBA\xEF\xB7\xBA\xEF\xB7\xBA\xEF\xB7\xBA"}) {  // 3 bytes that become 33
    CHECK(contains_truth(of_tokens({long_one}, *t), std::string(long_one).size()));
  }
}

TEST_CASE("a model that only drops spaces has a lower end") {
  const auto t = opened(trained({{"remove_extra_whitespaces", "true"}}));
  check_all(*t, false);
  const ByteCount count = of_tokens({"  Anna   has "}, *t);
  CHECK(count.lower == 8);
  CHECK(count.upper == ByteCount::kUnbounded);
  CHECK(contains(count.reason, "drops spaces"));
}

TEST_CASE("a character model is exact where it knows the characters") {
  const auto t = opened(trained({{"model_type", "char"}, {"byte_fallback", "false"}}));
  check_all(*t, false);
  const ByteCount count = of_tokens({"Anna has three apples."}, *t);
  CHECK(count.exact);
  CHECK(count.lower == 22);
}

TEST_CASE("spaces inside of pieces and at their ends are one byte, though the byte table says three") {
  const auto t = opened(trained({{"treat_whitespace_as_suffix", "true"}}));
  check_all(*t, true);
  const ByteCount count = of_tokens({"Anna has three apples."}, *t);
  CHECK(count.lower == 22);
  CHECK(count.table_bytes > 22);
  CHECK(contains(count.reason, "three bytes"));
}

TEST_CASE("user-defined pieces stand for their text and control pieces for none") {
  const auto t = opened(trained({{"user_defined_symbols", "<sep>,\xC3\xA9t\xC3\xA9"}, {"control_symbols", "<turn>"}}));
  check_all(*t, true);
  const std::string text = "Anna<sep>has \xC3\xA9t\xC3\xA9 <turn> apples.";
  CHECK(of_tokens({text}, *t).lower == text.size());
  auto tokens = data::tokenize({"Anna"}, *t).tokens;
  const uint64_t before = tokens.size();
  for (int64_t id = 0; id < t->vocab_size(); ++id) {
    if (t->piece(id) == "<turn>") tokens.push_back(static_cast<uint16_t>(id));
  }
  REQUIRE(tokens.size() == before + 1);
  const ByteCount count = data::count_bytes(*data::tokens_in_memory(tokens), *t, 0, tokens.size());
  CHECK(count.exact);
  CHECK(count.lower == 4);
}

TEST_CASE("a model without a piece for the space writes it as three bytes, which leaves bounds") {
  std::string model = piece("<unk>", kUnknown) + piece("<s>", kControl) + piece("</s>", kControl) + piece("a") + piece("b");
  constexpr const char* digits = "0123456789ABCDEF";
  for (int b = 0; b < 256; ++b) model += piece(std::string("<0x") + digits[b / 16] + digits[b % 16] + ">", kByte);
  model += field(2, field(3, uint64_t{2}) + field(35, uint64_t{1})) + field(3, field(3, uint64_t{0}) + field(4, uint64_t{0}));
  const auto t = opened(model);
  check_all(*t, false);
  const ByteCount count = of_tokens({"a b"}, *t);
  CHECK(count.tokens == 5);
  CHECK(count.lower == 2);
  CHECK(count.upper == 5);
  CHECK_FALSE(count.exact);
}

TEST_CASE("ids beyond the tokenizer and ids that no text is encoded to leave bounds") {
  const auto t = data::byte_tokenizer();
  const ByteCount beyond = data::count_bytes(*data::tokens_in_memory({1, 4 + 'a', 300, 4 + 'b'}), *t, 0, 4);
  CHECK(beyond.lower == 2);
  CHECK_FALSE(beyond.exact);
  CHECK(contains(beyond.reason, "1 id beyond the tokenizer"));
  const ByteCount unknown = data::count_bytes(*data::tokens_in_memory({1, 4 + 'a', 3}), *t, 0, 3);
  CHECK(unknown.lower == 1);
  CHECK(unknown.upper == ByteCount::kUnbounded);
}

TEST_CASE("tokens of books: the decoder, the table and the count agree byte for byte") {
  const std::string folder = ASSAY_SOURCE_DIR "/tests/golden/tokenizer/";
  const auto t = data::sentencepiece_tokenizer(folder + "books1024.model");
  check_all(*t, true);
  const auto source = data::open_shard(folder + "books1024_val.bin", t->vocab_size());
  const std::string text = t->decode(all_of(*source));
  CHECK(t->encode(text).size() == source->size() - 1);  // one document behind its bos
  const ByteCount count = data::count_bytes(*source, *t, 0, source->size());
  CHECK(count.exact);
  CHECK(count.lower == text.size());
  CHECK(count.table_bytes == text.size());
}

TEST_CASE("windows count every byte once, also of characters that their borders cut") {
  const auto t = opened(small_model());
  const auto tokens = data::tokenize(awkward(), *t).tokens;
  const auto source = data::tokens_in_memory(tokens);
  uint64_t bytes = 0, known = 0, counted = 0;
  for (uint64_t first = 0; first + 1 < tokens.size(); first += 3) {
    const uint64_t end = std::min<uint64_t>(first + 4, tokens.size());
    const ByteCount count = data::count_bytes(*source, *t, first, end);
    CHECK(count.exact);
    bytes += count.lower;
    counted += count.tokens;
    known += data::count_bytes(awkward(), *t, first, end).lower;
  }
  CHECK(counted == tokens.size() - 1);
  CHECK(bytes == size_of(awkward()));
  CHECK(known == size_of(awkward()));
}

TEST_CASE("with the text at hand, cut documents have bounds that hold the truth for every tokenizer") {
  const auto t = opened(trained({{"normalization_rule_name", "nmt_nfkc"}, {"remove_extra_whitespaces", "true"}}));
  const auto tokens = data::tokenize(awkward(), *t).tokens;
  uint64_t lower = 0, upper = 0;
  for (uint64_t first = 0; first + 1 < tokens.size(); first += 10) {
    const ByteCount count = data::count_bytes(awkward(), *t, first, std::min<uint64_t>(first + 11, tokens.size()));
    CHECK(count.upper <= size_of(awkward()));
    lower += count.lower;
    upper += count.upper;
  }
  CHECK(lower <= size_of(awkward()));
  CHECK(upper >= size_of(awkward()));
}

TEST_CASE("a text's own U+2581 is seen where the text is at hand, and named where it is not") {
  const auto t = opened(small_model());
  const std::string text = "a \xE2\x96\x81 b";
  CHECK(data::count_bytes(Documents{text}, *t).lower == 7);
  CHECK(contains(data::count_bytes(Documents{text}, *t).reason, "do not come back from their tokens: 1 of 1"));
  CHECK(contains(of_tokens({text}, *t).reason, "without U+2581"));
}

TEST_CASE("a long source is counted the same in whatever pieces it is read") {
  const auto t = data::byte_tokenizer();
  std::vector<uint16_t> tokens(2'500'000, 4 + 'x');
  tokens[(1 << 20) - 1] = 1;
  tokens[1 << 20] = 1;
  const auto source = data::tokens_in_memory(tokens);
  CHECK(data::count_bytes(*source, *t, 0, tokens.size()).lower == 2'499'997);
  CHECK(data::count_bytes(*source, *t, (1 << 20) - 2, tokens.size()).tokens == 2'500'000 - (1 << 20) + 1);
  CHECK_THROWS_AS(data::count_bytes(*source, *t, 5, 5), core::DataError);
  CHECK_THROWS_AS(data::count_bytes(*source, *t, 0, tokens.size() + 1), core::DataError);
  CHECK(data::count_bytes(*data::tokens_in_memory({}), *t, 0, 0).exact);
}
