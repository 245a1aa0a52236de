#include "assay/train/evaluate.h"

#include <doctest/doctest.h>

#include <cmath>

#include "arch/helpers.h"

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

}  // namespace

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
