#include "assay/train/evaluate.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "arch/helpers.h"
#include "assay/core/file.h"
#include "assay/data/shards.h"
#include "train/helpers.h"

using namespace assay;

namespace {

constexpr int64_t kVocab = 12;

// Logits that depend on the last two tokens alone, so that the right answer can be computed by hand.
struct Bigram final : arch::Model {
  using Model::forward;
  Tensor forward(const Tensor& ids_BT, const arch::Observer*) override {
    const int64_t B = ids_BT.size(0), T = ids_BT.size(1);
    Tensor logits = at::empty({B, T, kVocab}, at::TensorOptions().dtype(at::kFloat));
    for (int64_t b = 0; b < B; ++b)
      for (int64_t t = 0; t < T; ++t)
        for (int64_t v = 0; v < kVocab; ++v) logits[b][t][v] = logit(ids_BT[b][t].item().toLong(), v);
    return logits;
  }
  Tensor loss(const Tensor& logits, const Tensor&) override { return logits.sum() * 0; }  // a model that flatters itself
  int64_t vocab_size() const override { return kVocab; }
  static double logit(int64_t x, int64_t v) { return std::sin(static_cast<double>(3 * x + v)); }
  static double nats(int64_t x, int64_t y) {
    double sum = 0;
    for (int64_t v = 0; v < kVocab; ++v) sum += std::exp(logit(x, v));
    return std::log(sum) - logit(x, y);
  }
};

struct Text {
  std::vector<uint16_t> tokens;
  std::unique_ptr<data::TokenSource> source;
  arch::Built built;
  explicit Text(size_t n) {
    for (size_t i = 0; i < n; ++i) tokens.push_back(static_cast<uint16_t>((i * i + 3 * i) % kVocab));
    source = data::tokens_in_memory(tokens);
    built.params = std::make_unique<tensor::Params>(at::kCPU, at::kFloat, 0);
    built.params->seal();
    built.model = std::make_unique<Bigram>();
  }
  double nats(size_t first, size_t end) const {
    double sum = 0;
    for (size_t k = first; k < end; ++k) sum += Bigram::nats(tokens[k - 1], tokens[k]);
    return sum;
  }
};

// 40 ids: a control id, bytes, pieces behind a space, pieces within a word.
class HandMadeTokenizer final : public data::Tokenizer {
 public:
  static constexpr int64_t kSize = 40;
  static bool control(int64_t id) { return id == 0; }
  static bool behind_space(int64_t id) { return id >= 10 && id < 25; }
  static int32_t length(int64_t id) { return control(id) ? 0 : id < 10 ? 1 : static_cast<int32_t>(1 + id % 5); }

  int64_t vocab_size() const override { return kSize; }
  int64_t bos() const override { return -1; }
  int64_t eos() const override { return -1; }
  std::vector<uint16_t> encode(std::string_view) const override { return {}; }
  std::string decode(const std::vector<uint16_t>&) const override { return ""; }
  std::string piece(int64_t id) const override { return std::to_string(id); }
  std::string hash() const override { return std::string(32, '0'); }
  std::string description() const override { return "by hand"; }
  ByteTable byte_table() const override {
    ByteTable t;
    for (int64_t id = 0; id < kSize; ++id) {
      t.bytes.push_back(length(id));
      t.leading_space.push_back(behind_space(id));
      t.boundary.push_back(control(id));
    }
    return t;
  }
  TextTable text_table() const override {
    TextTable t;
    for (int64_t id = 0; id < kSize; ++id) {
      const auto most = static_cast<uint32_t>(length(id) + behind_space(id));
      t.kind.push_back(control(id) ? TextTable::Kind::control : TextTable::Kind::text);
      t.inside.push_back({most, most});
      t.first.push_back({most, most});
    }
    return t;
  }
};

// Little-endian: 256 int32, of which magic, version and count mean something, then the tokens as uint16.
void write_by_hand(const std::string& path, const std::vector<uint16_t>& tokens) {
  const int32_t head[3] = {20240520, 1, static_cast<int32_t>(tokens.size())};
  std::string bytes(1024, '\0');
  std::memcpy(bytes.data(), head, sizeof head);
  bytes.append(reinterpret_cast<const char*>(tokens.data()), 2 * tokens.size());
  core::write_file(core::real_files(), path, bytes);
}

}  // namespace

TEST_CASE("every vocabulary-space variant: bits per byte of a hand-made shard and table of bytes are the published formula's") {
  const testing::Scratch dir;
  const HandMadeTokenizer tokenizer;
  constexpr size_t kLength = 8, kWindows = 6;
  std::vector<uint16_t> tokens;  // four more than whole windows need: the tail is dropped
  for (size_t i = 0; i < kWindows * kLength + 5; ++i)
    tokens.push_back(static_cast<uint16_t>((7 * i * i + 3 * i) % HandMadeTokenizer::kSize));
  write_by_hand(dir / "by_hand_val_000000.bin", tokens);
  const auto source = data::open_shard(dir / "by_hand_val_000000.bin", HandMadeTokenizer::kSize);
  double bytes = 0;
  for (size_t k = 1; k <= kWindows * kLength; ++k)
    bytes +=
        HandMadeTokenizer::length(tokens[k]) + (HandMadeTokenizer::behind_space(tokens[k]) && !HandMadeTokenizer::control(tokens[k - 1]));
  for (const auto& [name, options] : testing::small_vocab_options()) {
    INFO(name);
    const arch::Built built = testing::random_model(name, testing::small_options(name), HandMadeTokenizer::kSize, kLength);
    const at::NoGradGuard no_grad;
    built.model->begin({.training = true, .seed = 3});  // what a training pass leaves behind must not reach a validation
    built.model->forward(testing::ids(2, kLength, [](int64_t r, int64_t t) { return 3 * r + t; }));
    built.model->begin({});
    const train::Evaluation e = train::evaluate(built, {*source, &tokenizer, nullptr, kLength, 4, 0});
    double nats = 0;
    for (size_t w = 0; w < kWindows; ++w) {
      const Tensor logits =
          built.model->forward(testing::ids(1, kLength, [&](int64_t, int64_t t) { return tokens[w * kLength + t]; }))[0].to(at::kDouble);
      for (size_t t = 0; t < kLength; ++t) {
        double sum = 0;
        for (int64_t v = 0; v < HandMadeTokenizer::kSize; ++v) sum += std::exp(logits[t][v].item().toDouble());
        nats += std::log(sum) - logits[t][tokens[w * kLength + t + 1]].item().toDouble();
      }
    }
    CHECK(static_cast<size_t>(e.tokens) == kWindows * kLength);
    CHECK(e.loss == doctest::Approx(nats / (kWindows * kLength)).epsilon(1e-6));
    REQUIRE(e.bits_per_byte);
    CHECK(*e.bits_per_byte == doctest::Approx(nats / std::log(2.0) / bytes).epsilon(1e-6));
  }
}

TEST_CASE("an evaluation scores whole windows from the logits, whatever the model calls its loss") {
  const Text text(23);
  const train::Evaluation e = train::evaluate(text.built, {*text.source, nullptr, nullptr, 5, 3, 0});
  CHECK(e.tokens == 20);
  CHECK(e.loss == doctest::Approx(text.nats(1, 21) / 20).epsilon(1e-6));
  CHECK_FALSE(e.entropy);
  CHECK(e.piece_kind == "window");
  REQUIRE(e.pieces.size() == 4);
  CHECK(e.pieces[1].nats == doctest::Approx(text.nats(6, 11)).epsilon(1e-6));
  CHECK(train::evaluate(text.built, {*text.source, nullptr, nullptr, 5, 3, 11}).tokens == 10);
}

TEST_CASE("where the generator is known every symbol is scored, by pieces, against what the generator knows") {
  const Text text(23);
  data::KnownEntropy known{{8, 15, 23}, {10, 20, 30}, {{3, 5, 2}, {9, 10, 2}, {12, 14, 7}}};
  const train::Evaluation e = train::evaluate(text.built, {*text.source, nullptr, &known, 5, 3, 0});
  CHECK(e.tokens == 22);
  REQUIRE(e.entropy);
  CHECK(e.entropy->symbols == 22);
  CHECK(e.entropy->model_nats == doctest::Approx(text.nats(1, 23)).epsilon(1e-6));
  CHECK(e.entropy->generator_nats == 60);
  REQUIRE(e.pieces.size() == 3);
  CHECK(e.pieces[0].tokens == 7);
  CHECK(e.pieces[2].nats == doctest::Approx(text.nats(15, 23)).epsilon(1e-6));
  CHECK(e.agreement.at(2).words == 2);
  CHECK(e.agreement.at(2).nats == doctest::Approx(text.nats(3, 5) + text.nats(9, 10)).epsilon(1e-6));
  CHECK(e.agreement.at(7).nats == doctest::Approx(text.nats(12, 14)).epsilon(1e-6));
}

TEST_CASE("a limit on validation tokens leaves whole pieces only") {
  const Text text(23);
  data::KnownEntropy known{{8, 15, 23}, {10, 20, 30}, {}};
  const train::Evaluation e = train::evaluate(text.built, {*text.source, nullptr, &known, 5, 3, 15});
  CHECK(e.tokens == 15);
  REQUIRE(e.entropy);
  CHECK(e.entropy->symbols == 14);
  CHECK(e.entropy->generator_nats == 30);
  CHECK(e.pieces.size() == 2);
}

TEST_CASE("documents of text without a known generator are told apart by the symbol before each") {
  Text text(2);
  text.tokens = {1, 5, 6, 1, 7, 8, 9, 1, 4, 4, 4};
  text.source = data::tokens_in_memory(text.tokens);
  const auto bytes = data::byte_tokenizer();
  const train::Evaluation e = train::evaluate(text.built, {*text.source, bytes.get(), nullptr, 5, 3, 0});
  CHECK(e.piece_kind == "document");
  REQUIRE(e.pieces.size() == 2);  // the third was not seen to its end
  CHECK(e.pieces[0].tokens == 3);
  CHECK(e.pieces[1].nats == doctest::Approx(text.nats(4, 8)).epsilon(1e-6));
}
