#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <doctest/doctest.h>
#include <torch/library.h>

#include "core/refusal.h"
#include "ops/schema_watch.h"

using namespace assay;
using at::Tensor;

namespace {

// Ops that do what their schemas do not say.
Tensor changes(const Tensor& x) {
  x.add_(1);
  return x.clone();
}
Tensor returns_argument(const Tensor& x) { return x.view({-1}); }
Tensor other_shape(const Tensor& x) { return x.clone(); }
Tensor other_shape_meta(const Tensor& x) { return at::empty({x.numel() + 1}, x.options()); }
Tensor honest_(Tensor x) { return x.add_(1); }

TORCH_LIBRARY(assay_test, m) {
  m.def("changes(Tensor x) -> Tensor");
  m.def("returns_argument(Tensor x) -> Tensor");
  m.def("other_shape(Tensor x) -> Tensor");
  m.def("honest_(Tensor(a!) x) -> Tensor(a!)");
}
TORCH_LIBRARY_IMPL(assay_test, CPU, m) {
  m.impl("changes", changes);
  m.impl("returns_argument", returns_argument);
  m.impl("other_shape", other_shape);
  m.impl("honest_", honest_);
}
TORCH_LIBRARY_IMPL(assay_test, Meta, m) {
  m.impl("changes", other_shape);
  m.impl("returns_argument", other_shape);
  m.impl("other_shape", other_shape_meta);
  m.impl("honest_", honest_);
}

std::string faults_of(const std::string& name, bool wants_gradient = false) {
  testing::SchemaWatch watch("assay_test::");
  std::vector<c10::IValue> stack{at::ones({2, 3}).requires_grad_(wants_gradient)};
  c10::Dispatcher::singleton().findSchemaOrThrow(("assay_test::" + name).c_str(), "").callBoxed(&stack);
  int64_t seen = 0;
  std::string all;
  for (const std::string& fault : watch.faults(&seen)) all += fault + "\n";
  CHECK(seen == 1);
  return all;
}

}  // namespace

TEST_CASE("the watch on schemas sees an argument that changes, a result that is an argument, another Meta shape and a lost graph") {
  using test::contains;
  CHECK(contains(faults_of("changes"), "argument x changed"));
  CHECK(contains(faults_of("returns_argument"), "result 0 shares memory with argument x"));
  CHECK(contains(faults_of("other_shape"), "result 0 has other sizes than its Meta form"));
  CHECK(contains(faults_of("other_shape", true), "there is no kernel for autograd"));
  CHECK(faults_of("honest_").empty());
}
