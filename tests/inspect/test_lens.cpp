#include <ATen/ops/log_softmax.h>
#include <doctest/doctest.h>

#include <cmath>

#include "arch/helpers.h"
#include "assay/inspect/lens.h"

using namespace assay;

namespace {

const std::vector<uint16_t> text{3, 17, 9, 9, 30, 2, 11};

inspect::Lens lens_of(const char* arch, int64_t top = 5) { return inspect::look(testing::random_model(arch, {}, 40, 8), text, top); }

}  // namespace

TEST_CASE("each step of both models is read, the answer last; what the last step would predict is the answer") {
  for (const char* arch : {"v8_lowrank_vv", "gpt2"}) {
    INFO(std::string(arch));
    const inspect::Lens lens = lens_of(arch);
    REQUIRE(lens.steps.size() >= 4);
    CHECK(lens.steps.front() == "embed");
    CHECK(lens.steps.back() == "answer");
    const auto &last = lens.readings[lens.steps.size() - 2], &answer = lens.readings.back();
    REQUIRE(answer.size() == text.size());
    for (size_t t = 0; t < text.size(); ++t) {
      CHECK(last[t].agrees);
      CHECK(answer[t].top.size() == 5);
      CHECK(last[t].top[0].probability == doctest::Approx(answer[t].top[0].probability).epsilon(1e-4));
      CHECK(last[t].entropy == doctest::Approx(answer[t].entropy).epsilon(1e-3));
    }
  }
}

TEST_CASE("rank, probability and entropy are those of the distribution") {
  const arch::Built b = testing::random_model("gpt2", {}, 40, 8);
  const inspect::Lens lens = inspect::look(b, text, 40);
  const at::NoGradGuard no_grad;
  const Tensor ids = testing::ids(1, static_cast<int64_t>(text.size()), [](int64_t, int64_t t) { return text[static_cast<size_t>(t)]; });
  const Tensor log_p = at::log_softmax(b.model->forward(ids).to(at::kDouble), -1)[0];
  for (size_t t = 0; t + 1 < text.size(); ++t) {
    const inspect::Reading& r = lens.readings.back()[t];
    double entropy = 0;
    int64_t better = 0;
    const double truth = log_p[static_cast<int64_t>(t)][text[t + 1]].item().toDouble();
    for (int64_t v = 0; v < 40; ++v) {
      const double l = log_p[static_cast<int64_t>(t)][v].item().toDouble();
      entropy -= std::exp(l) * l;
      better += l > truth ? 1 : 0;
    }
    CHECK(r.entropy == doctest::Approx(entropy).epsilon(1e-9));
    CHECK(r.rank_of_truth == better + 1);
    CHECK(r.truth == doctest::Approx(std::exp(truth)).epsilon(1e-9));
    CHECK(r.top[static_cast<size_t>(better)].id == text[t + 1]);
    double sum = 0;
    for (const inspect::Guess& g : r.top) sum += g.probability;
    CHECK(sum == doctest::Approx(1).epsilon(1e-9));
  }
  CHECK(lens.readings.back().back().rank_of_truth == 0);
}

TEST_CASE("text, JSON and HTML show the same lens; pieces are escaped") {
  const inspect::Lens lens = lens_of("v8_lowrank_vv", 2);
  const auto bytes = data::byte_tokenizer();
  const core::Value v = inspect::to_value(lens, nullptr);
  CHECK(v.at("tokens").size() == text.size());
  CHECK(v.at("steps").size() == lens.steps.size());
  CHECK(v.at("steps").as_array().back().at("positions").as_array().back().at("rank_of_truth").is_null());
  CHECK(inspect::to_text(lens, nullptr).find("answer") != std::string::npos);
  const std::string html = inspect::html_page("a <b> & \"c\"", inspect::to_html(lens, bytes.get()));
  CHECK(html.find("a &lt;b&gt; &amp; &quot;c&quot;") != std::string::npos);
  CHECK(html.find("&lt;0x") != std::string::npos);  // the byte pieces of the tokenizer
  CHECK(html.find("<0x") == std::string::npos);
  CHECK(inspect::shown(9999, bytes.get()) == "#9999");
}

TEST_CASE("nothing to look at is refused") {
  const arch::Built b = testing::random_model("gpt2", {}, 40, 8);
  CHECK_THROWS_AS(inspect::look(b, {}, 3), core::ConfigError);
}
