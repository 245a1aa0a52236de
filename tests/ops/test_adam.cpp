#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <doctest/doctest.h>

#include <cmath>

#include "assay/ops/adam/adam.h"
#include "ops/op_case.h"
#include "ops/random_tensor.h"
#include "ops/schema_watch.h"

using namespace assay;
using ops::Control;
using testing::random_tensor;

namespace {

at::TensorOptions doubles() { return at::TensorOptions().dtype(at::kDouble); }

Tensor control(double rate, double clip, double patience = 0) {
  const Tensor c = at::zeros({Control::count}, doubles());
  c.data_ptr<double>()[Control::rate] = rate;
  c.data_ptr<double>()[Control::clip] = clip;
  c.data_ptr<double>()[Control::patience] = patience;
  return c;
}

double slot(const Tensor& control, Control::Slot s) { return control[s].item().toDouble(); }

struct Buffers {
  Tensor values, first, second, shadow;
};

// A few updates of a flat buffer with two groups, one of which begins inside.
void check_updates(const at::Device& device, at::ScalarType dtype, int64_t size, bool decoupled, double tolerance) {
  INFO("size " << size << (decoupled ? ", decoupled" : ", coupled"));
  const ops::AdamSettings settings{0.9, 0.99, 1e-8, decoupled};
  const int64_t middle = size / 32 * 16;
  const std::vector<ops::AdamGroup> groups{{0, middle, 1, 0.1}, {middle, size, 10, 0}};
  const Tensor chunks = ops::adam_chunks(groups, device);
  const Tensor start = random_tensor({size}, 1, "values");
  Buffers got{start.to(device, dtype).clone(), {}, {}, {}}, want{start.clone(), {}, {}, {}};
  for (Buffers* b : {&got, &want}) {
    b->first = at::zeros_like(b->values);
    b->second = at::zeros_like(b->values);
  }
  got.shadow = at::full({size}, std::nan(""), got.values.options().dtype(at::kBFloat16));
  const Tensor c = control(0.01, 0.5).to(device), log = at::zeros({3, 4}, doubles()).to(device);
  testing::SchemaWatch watch;
  for (int64_t n = 1; n <= 4; ++n) {
    const Tensor g = random_tensor({size}, static_cast<uint64_t>(n), "grads"), on_device = g.to(device, dtype);
    const Tensor loss = at::full({1}, static_cast<double>(n), on_device.options());
    ops::decide_update_(on_device, loss, c, log, settings.beta1, settings.beta2);
    ops::adam_(got.values, on_device, got.first, got.second, got.shadow, c, chunks, settings);
    const double norm = at::linalg_vector_norm(g).item().toDouble(), scale = std::min(1.0, 0.5 / (norm + 1e-6));
    for (const ops::AdamGroup& group : groups) {
      const auto part = [&](const Tensor& t) { return t.narrow(0, group.begin, group.end - group.begin); };
      ops::adam_reference_(part(want.values), part(g), part(want.first), part(want.second), 0.01 * group.rate_scale, group.weight_decay,
                           scale, n, settings);
    }
    CHECK(slot(c, Control::norm) == doctest::Approx(norm).epsilon(1e-6));
    CHECK(slot(c, Control::updates) == n);
    CHECK(log[(n - 1) % 3][0].item().toDouble() == n);
  }
  CHECK(at::allclose(got.values.cpu().to(at::kDouble), want.values, tolerance, tolerance));
  CHECK(at::allclose(got.second.cpu().to(at::kDouble), want.second, 1e-5, 1e-9));
  CHECK(at::equal(got.shadow, got.values.to(at::kBFloat16)));
  watch.check();
}

void check_skips(const at::Device& device) {
  const Tensor chunks = ops::adam_chunks({{0, 64, 1, 0}}, device);
  const Tensor values = random_tensor({64}, 1, "values").to(device, at::kFloat), before = values.clone(), first = at::zeros_like(values),
               second = at::zeros_like(values), good = random_tensor({64}, 2, "grads").to(device, at::kFloat), bad = good.clone();
  bad.narrow(0, 63, 1).fill_(INFINITY);
  const Tensor fine = at::full({1}, 1.0, values.options()), nan = at::full({1}, std::nan(""), values.options());
  const Tensor c = control(0.01, 0, 2).to(device), log = at::zeros({8, 4}, doubles()).to(device);
  const auto call = [&](const Tensor& grads, const Tensor& loss) {
    ops::decide_update_(grads, loss, c, log, 0.9, 0.999);
    ops::adam_(values, grads, first, second, {}, c, chunks, {});
  };
  call(bad, fine);
  call(good, nan);
  CHECK(at::equal(values, before));
  CHECK(first.abs().max().item().toDouble() == 0);
  CHECK(slot(c, Control::updates) == 0);
  CHECK(slot(c, Control::skips) == 2);
  CHECK(slot(c, Control::halted) == 0);
  call(good, fine);  // the row of skips ends
  CHECK_FALSE(at::equal(values, before));
  CHECK(slot(c, Control::skips) == 0);
  const Tensor after = values.clone();
  for (int n = 0; n < 3; ++n) call(bad, fine);  // one more than may be skipped
  CHECK(slot(c, Control::halted) == 1);
  call(good, fine);
  CHECK(at::equal(values, after));
  CHECK(slot(c, Control::updates) == 1);
  const Tensor rows = log.cpu();
  const auto applied = [&](int64_t n) { return rows[n][2].item().toDouble(); };
  CHECK(applied(1) == 0);
  CHECK(applied(2) == 1);
  CHECK(applied(6) == 0);
  CHECK(rows[4][3].item().toDouble() == 0);
  CHECK(rows[5][3].item().toDouble() == 1);
  CHECK(rows[6][3].item().toDouble() == 1);
}

}  // namespace

TEST_CASE("Adam's one pass follows its reference on the CPU, in groups, with clipping and a rounded copy") {
  for (int64_t size : {int64_t{16}, int64_t{1000}, ops::kAdamChunk + 48, 3 * ops::kAdamChunk})
    for (bool decoupled : {false, true}) {
      check_updates(at::Device(at::kCPU), at::kDouble, size, decoupled, 1e-12);
      check_updates(at::Device(at::kCPU), at::kFloat, size, decoupled, 2e-6);
    }
}

TEST_CASE("Adam's one pass follows its reference on CUDA") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  for (int64_t size : {int64_t{16}, int64_t{1000}, int64_t{1003}, ops::kAdamChunk + 48, 3 * ops::kAdamChunk})
    for (bool decoupled : {false, true}) {
      check_updates(*cuda, at::kDouble, size, decoupled, 1e-12);
      check_updates(*cuda, at::kFloat, size, decoupled, 2e-6);
    }
}

TEST_CASE("an update that is not finite changes neither weights nor moments nor counters; too many in a row halt") {
  check_skips(at::Device(at::kCPU));
  if (const at::Device* cuda = testing::cuda_or_skip()) check_skips(*cuda);
}

TEST_CASE("the norm is that of the whole buffer and repeats bit for bit") {
  const Tensor g = random_tensor({5 * ops::kAdamChunk + 17}, 3, "grads").to(at::kFloat), log = at::zeros({1, 4}, doubles());
  const Tensor loss = at::full({1}, 0.0, g.options()), a = control(1, 1), b = control(1, 1);
  ops::decide_update_(g, loss, a, log, 0.9, 0.999);
  ops::decide_update_(g, loss, b, log, 0.9, 0.999);
  CHECK(at::equal(a, b));
  CHECK(slot(a, Control::norm) == doctest::Approx(at::linalg_vector_norm(g.to(at::kDouble)).item().toDouble()).epsilon(1e-12));
  CHECK(slot(a, Control::scale) == doctest::Approx(1 / (slot(a, Control::norm) + 1e-6)).epsilon(1e-12));
}

TEST_CASE("wrong buffers are refused by name") {
  const Tensor x = at::zeros({32}, doubles()), c = control(1, 1), log = at::zeros({1, 4}, doubles()),
               chunks = ops::adam_chunks({{0, 32, 1, 0}}, at::kCPU);
  CHECK_THROWS_WITH_AS(ops::adam_(x, x.narrow(0, 0, 16), x, x, {}, c, chunks, {}),
                       doctest::Contains("grads must be a contiguous flat buffer"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::adam_(x, x, x, x, x, c, chunks, {}), doctest::Contains("shadow must be bfloat16"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::decide_update_(x, x, c, log, 0.9, 0.999), doctest::Contains("loss must be one number"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::decide_update_(x, x.narrow(0, 0, 1), c.narrow(0, 0, 3), log, 0.9, 0.999), doctest::Contains("control must be"),
                       c10::Error);
}
