#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/mm.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include <filesystem>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/log.h"
#include "assay/core/random.h"
#include "assay/tensor/device.h"
#include "assay/tensor/tiles.h"

using namespace assay;
using tensor::Precision;

namespace {

Tensor random(int64_t rows, int64_t columns, const char* name) {
  Tensor t = at::empty({rows, columns}, at::TensorOptions().dtype(at::kFloat));
  const core::Stream stream(4, name);
  for (int64_t i = 0; i < t.numel(); ++i) t.data_ptr<float>()[i] = static_cast<float>(stream.normal(static_cast<uint64_t>(i)));
  return t;
}

double relative(const Tensor& a, const Tensor& want) {
  return (a.to(at::kDouble) - want).norm().item().toDouble() / want.norm().item().toDouble();
}

// For each product library that this processor runs.
void for_each_library(const std::function<void(const std::string&)>& f) {
  for (const char* name : {"aten", "onednn", "mixed", "aten+bf16"}) {
    try {
      tensor::set_product_choice(tensor::product_choice_from(name));
    } catch (const core::ConfigError&) {
      continue;
    }
    f(name);
  }
  tensor::set_product_choice({});
}

}  // namespace

TEST_CASE("products agree with float64, in values and gradients, for every library, layout and awkward shape") {
  for_each_library([](const std::string& library) {
    for (const auto& [m, k, n] : std::vector<std::array<int64_t, 3>>{{1, 1, 1}, {3, 5, 7}, {64, 33, 1}, {1, 100, 17}, {65, 64, 129}}) {
      INFO(library << " " << m << "x" << k << "x" << n);
      const Tensor a = random(k, m, "a").t().requires_grad_(true), b = random(n, k, "b").t().requires_grad_(true);
      const Tensor a64 = a.detach().to(at::kDouble), b64 = b.detach().to(at::kDouble);
      const Tensor y = tensor::product(a, b, Precision::fp32);
      CHECK(relative(y, a64.mm(b64)) < 1e-6);
      const Tensor g = random(m, n, "g");
      torch::autograd::backward({y}, {g});
      CHECK(relative(a.grad(), g.to(at::kDouble).mm(b64.t())) < 1e-6);
      CHECK(relative(b.grad(), a64.t().mm(g.to(at::kDouble))) < 1e-6);
    }
  });
}

TEST_CASE("operands that are parts of wider matrices, either way round, give the product of their copies") {
  for_each_library([](const std::string& library) {
    INFO(library);
    const at::NoGradGuard no_grad;
    const Tensor wide_a = random(65, 100, "a"), wide_b = random(96, 80, "b");
    const Tensor a = wide_a.narrow(1, 7, 33), b = wide_b.narrow(0, 5, 33).narrow(1, 9, 17);
    const Tensor want = a.to(at::kDouble).mm(b.to(at::kDouble));
    CHECK(relative(tensor::raw_product(a, b, Precision::fp32), want) < 1e-6);
    CHECK(relative(tensor::raw_product(b.t(), a.t(), Precision::fp32), want.t()) < 1e-6);
  });
}

TEST_CASE("bf16 means operands rounded to bf16: exact for numbers that bf16 holds, near otherwise") {
  for_each_library([](const std::string& library) {
    INFO(library);
    const Tensor a = random(32, 48, "a"), b = random(48, 16, "b"), want = a.to(at::kDouble).mm(b.to(at::kDouble));
    const double error = relative(tensor::product(a, b, Precision::bf16), want);
    CHECK(error > 1e-5);
    CHECK(error < 1e-2);
    const Tensor a16 = a.to(at::kBFloat16).to(at::kFloat);
    CHECK(at::equal(tensor::product(a, b, Precision::bf16), tensor::product(a16, b, Precision::bf16)));
  });
}

TEST_CASE("linear is x w^T + bias over the last axis") {
  const Tensor x = random(6, 4, "x").view({2, 3, 4}), w = random(5, 4, "w"), bias = random(1, 5, "b").view({5});
  const Tensor y = tensor::linear(x, w, bias, Precision::fp32);
  CHECK(y.sizes() == std::vector<int64_t>{2, 3, 5});
  CHECK(at::allclose(y, x.matmul(w.t()) + bias, 1e-5, 1e-6));
}

TEST_CASE("linear with a bias agrees with float64 for every library, in values and all three gradients") {
  for_each_library([](const std::string& library) {
    INFO(library);
    const Tensor x = random(37, 20, "x").requires_grad_(true), w = random(70, 20, "w").requires_grad_(true);
    const Tensor bias = random(1, 70, "b").view({70}).detach().requires_grad_(true), g = random(37, 70, "g");
    const Tensor x64 = x.detach().to(at::kDouble), w64 = w.detach().to(at::kDouble), g64 = g.to(at::kDouble);
    const Tensor y = tensor::linear(x, w, bias, Precision::fp32);
    CHECK(relative(y, x64.mm(w64.t()) + bias.detach().to(at::kDouble)) < 1e-6);
    torch::autograd::backward({y}, {g});
    CHECK(relative(x.grad(), g64.mm(w64)) < 1e-6);
    CHECK(relative(w.grad(), g64.t().mm(x64)) < 1e-6);
    CHECK(relative(bias.grad(), g64.sum(0)) < 1e-6);
  });
}

TEST_CASE("a product goes into a part of a matrix and touches nothing else, for every library and layout of its operands") {
  for_each_library([](const std::string& library) {
    INFO(library);
    const Tensor a = random(40, 90, "a").narrow(1, 5, 33), b = random(21, 33, "b").t(), at_ = random(33, 40, "at").t();
    const auto exact = [](const Tensor& l, const Tensor& r) { return l.to(at::kDouble).mm(r.to(at::kDouble)); };
    for (const Tensor& left : {a, at_}) {
      const Tensor whole = random(50, 64, "whole"), before = whole.to(at::kDouble), to = whole.narrow(0, 4, 40).narrow(1, 10, 21);
      const Tensor want = before.clone();
      tensor::product_into(to, left, b, Precision::fp32);
      want.narrow(0, 4, 40).narrow(1, 10, 21).copy_(exact(left, b));
      CHECK(relative(whole, want) < 1e-6);
      tensor::product_into(to, left, b, Precision::fp32, true);
      want.narrow(0, 4, 40).narrow(1, 10, 21).add_(exact(left, b));
      CHECK(relative(whole, want) < 1e-6);
      tensor::product_into(to, left, b, Precision::bf16);
      want.narrow(0, 4, 40).narrow(1, 10, 21).copy_(exact(left, b));
      CHECK(relative(whole, want) < 1e-2);
    }
  });
}

TEST_CASE("what auto finds is kept for this processor and number of threads, and measured anew where that is damaged") {
  const std::string folder = core::user_cache() + "/products";
  std::filesystem::remove_all(folder);
  const std::string first = tensor::name_of(tensor::product_choice_from("auto"));
  const std::vector<std::string> names = core::list_directory(folder);
  REQUIRE(names.size() == 1);
  const std::string file = folder + "/" + names[0];
  const std::string kept = core::read_file(file);
  // Another answer than the one that was measured shows who gives it.
  const std::string other = first == "aten" ? "aten+bf16" : "aten";
  const auto put = [&](const std::string& text) { core::write_file(core::real_files(), file, text); };
  std::string changed = kept;
  changed.replace(changed.find("\"" + first + "\""), first.size() + 2, "\"" + other + "\"");
  put(changed);
  CHECK(tensor::name_of(tensor::product_choice_from("auto")) == other);
  for (const std::string& damaged : {std::string(), kept.substr(0, 20), std::string("{\"product\": \"mixed\"}"), std::string("[]")}) {
    INFO(damaged);
    put(damaged);
    tensor::product_choice_from("auto");
    CHECK(core::read_file(file).size() >= 40);  // whole again
  }
  changed = kept;
  changed.replace(changed.find(first), first.size(), "onednm");
  put(changed);
  CHECK_NOTHROW(tensor::product_choice_from("auto"));
  // A place that cannot be written is no error.
  std::filesystem::remove_all(folder);
  core::write_file(core::real_files(), folder, "in the way");
  core::set_log_level(core::Level::error);
  CHECK_NOTHROW(tensor::product_choice_from("auto"));
  core::set_log_level(core::Level::info);
  std::filesystem::remove(folder);
}

TEST_CASE("the choice has a name that gives it back, and unknown names are refused") {
  const tensor::ProductChoice c = tensor::product_choice_from("auto");
  CHECK(tensor::name_of(tensor::product_choice_from(tensor::name_of(c))) == tensor::name_of(c));
  CHECK_THROWS_WITH_AS(tensor::product_choice_from("onednm"), doctest::Contains("onednn"), core::ConfigError);
  CHECK_THROWS_AS(tensor::precision_from("fp16"), core::ConfigError);
}

TEST_CASE("a device that is none or is not there is refused: exit 2 for a name, exit 5 for CUDA without a GPU") {
  CHECK(tensor::open_device("cpu").is_cpu());
  for (const char* name : {"gpu", "cuda:x", "cuda:-1", "cudax", ""}) CHECK_THROWS_AS(tensor::open_device(name), core::ConfigError);
  try {
    tensor::open_device("cuda");
    MESSAGE("this machine has a GPU: the refusal is not tested");
  } catch (const core::DeviceError& e) {
    CHECK(e.code() == core::Exit::device);
    CHECK(std::string(e.what()).find("CUDA was asked for") != std::string::npos);
  }
}
