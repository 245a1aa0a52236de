#include <ATen/ops/cat.h>
#include <doctest/doctest.h>

#include <array>
#include <cmath>

#include "assay/core/random.h"
#include "assay/layers/key_decay_attention.h"

using namespace assay;

namespace {

Tensor normal(std::vector<int64_t> shape, uint64_t salt) {
  Tensor t = at::empty(shape, at::TensorOptions().dtype(at::kDouble));
  const core::Stream stream(7, "key decay", salt);
  for (int64_t i = 0; i < t.numel(); ++i) t.data_ptr<double>()[i] = stream.normal(static_cast<uint64_t>(i));
  return t;
}

double at_(const Tensor& t, std::initializer_list<int64_t> place) {
  Tensor x = t;
  for (const int64_t i : place) x = x[i];
  return x.item().toDouble();
}

}  // namespace

TEST_CASE("attention with a decay a key is its double sum, and goes on from cached keys") {
  const int64_t B = 2, T = 6, c = 3, d = 2;
  const Tensor q = normal({B, T, c}, 1), k = normal({B, T, c}, 2), v = normal({B, T, d}, 3), logit = normal({B, T}, 4);
  const Tensor o = layers::key_decay_attention(q, k, v, logit, 0, false);
  for (int64_t b = 0; b < B; ++b)
    for (int64_t t = 0; t < T; ++t)
      for (int64_t i = 0; i < d; ++i) {
        double want = 0;
        for (int64_t s = 0; s < t; ++s) {
          const double lambda = 1 / (1 + std::exp(-at_(logit, {b, s})));
          double score = 0;
          for (int64_t j = 0; j < c; ++j) score += at_(q, {b, t, j}) * at_(k, {b, s, j});
          want += std::exp(static_cast<double>(t - s - 1) * std::log(lambda + 1e-8)) * score * at_(v, {b, s, i});
        }
        CHECK(at_(o, {b, t, i}) == doctest::Approx(want).epsilon(1e-12));
      }
  const Tensor last = layers::key_decay_attention(q.narrow(1, 4, 2), k, v, logit, 4, false);
  CHECK((last - o.narrow(1, 4, 2)).abs().max().item().toDouble() < 1e-12);
}
