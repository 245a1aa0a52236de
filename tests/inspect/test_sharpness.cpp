#include <ATen/ops/equal.h>
#include <doctest/doctest.h>

#include <cmath>

#include "assay/inspect/sharpness.h"
#include "assay/train/step.h"

using namespace assay;

namespace {

arch::Built tiny() {
  core::Value options = core::Value::object();
  for (const char* name : {"n_layer", "n_head"}) options[name] = int64_t{1};
  options["n_embd"] = int64_t{4};
  arch::BuildOptions build;
  build.dtype = at::kDouble;
  return arch::build(arch::find_architecture("gpt2"), options, {7, 5}, build);
}

train::Batch batch() {
  Tensor ids = at::empty({2, 5}, at::TensorOptions().dtype(at::kLong));
  for (int64_t i = 0; i < 10; ++i) ids.data_ptr<int64_t>()[i] = (i * i + i / 3) % 7;
  return {ids, (ids * 3 + 1).remainder(7)};
}

}  // namespace

TEST_CASE("the top eigenvalue is that of the Hessian: its vector is one, the curvature along it is the eigenvalue, no random direction "
          "exceeds it") {
  const arch::Built b = tiny();
  const train::Batch data = batch();
  const Tensor before = b.params->values().detach().clone();
  inspect::SharpnessOptions options;
  options.iterations = 3000;
  options.tolerance = 1e-14;
  const inspect::Sharpness s = inspect::sharpness(b, {&data, 1}, options);
  CHECK(at::equal(b.params->values(), before));
  INFO("after " << s.iterations << " iterations, top " << s.top_eigenvalue);
  CHECK(s.residual < 1e-3);
  // Curvature of the loss along an embedding's own direction, by second differences, stays below it.
  const at::NoGradGuard no_grad;
  for (const auto& e : b.params->entries()) {
    Tensor x = b.params->view(b.params->values(), e).view({-1})[0];
    const double start = x.item().toDouble(), h = 1e-4;
    const auto loss = [&](double value) {
      x.fill_(value);
      return b.model->loss(b.model->forward(data.ids_BT), data.targets_BT).item().toDouble();
    };
    const double curvature = (loss(start + h) - 2 * loss(start) + loss(start - h)) / (h * h);
    loss(start);
    CHECK(curvature <= std::abs(s.top_eigenvalue) + 1e-4);
  }
}

TEST_CASE("noise on the weights leaves the loss alone where there is none, and the draws repeat") {
  const arch::Built b = tiny();
  const train::Batch data = batch();
  inspect::SharpnessOptions options;
  options.iterations = 1;
  options.noise = {0, 1};
  const inspect::Sharpness one = inspect::sharpness(b, {&data, 1}, options), two = inspect::sharpness(b, {&data, 1}, options);
  CHECK(one.noisy[0].loss == doctest::Approx(one.loss).epsilon(1e-12));
  CHECK(one.noisy[1].loss != one.loss);
  CHECK(one.noisy[1].loss == two.noisy[1].loss);
}
