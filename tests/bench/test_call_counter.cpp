#include "assay/bench/call_counter.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include "arch/helpers.h"
#include "assay/bench/random_rows.h"
#include "assay/train/step.h"

using namespace assay;
using bench::Work;

namespace {

template <class F>
Work counted(const F& f) {
  bench::CallCounter counter;
  f();
  return bench::sum_of(counter.take());
}

}  // namespace

TEST_CASE("products, sums, copies and views are counted as what they must compute and move") {
  const Tensor a = at::ones({4, 3}), b = at::ones({3, 5}), c = at::ones({4, 5});
  const Work product = counted([&] { at::mm(a, b); });
  CHECK(product.calls == 1);
  CHECK(product.flops == 2 * 4 * 3 * 5);
  CHECK(product.bytes == 4 * (12 + 15 + 20));
  const Work added = counted([&] { at::addmm(c, a, b); });
  CHECK(added.flops == 2 * 4 * 3 * 5);
  CHECK(added.bytes == 4 * (12 + 15 + 20 + 20));
  CHECK(counted([&] { at::matmul(a, b); }).calls == 1);  // the product that it calls
  const Work in_place = counted([&] { c.clone().add_(c); });
  CHECK(in_place.bytes == 4 * (2 * 20 + 3 * 20));  // the copy; then both operands and the result
  CHECK(counted([&] { c.t().narrow(0, 0, 2).view({2, 4}).detach(); }).bytes == 0);
  CHECK(counted([&] { a.expand({4, 3}); }).calls == 0);
}

TEST_CASE("what is counted of an update is what its cost formula says, to the parts that the formula leaves out") {
  train::RunConfig config(arch::find_architecture("gpt2"));
  for (const char* o : {"train.batch=2", "train.seq_len=64", "model.n_layer=2", "model.n_embd=64", "model.n_head=2", "model.vocab_size=200",
                        "train.threads=1", "train.product=aten"})
    config.settings.set_assignment(o, core::Source::command_line);
  const train::Machine machine = train::prepare_machine(config.train);
  const arch::Built built = train::build_model(config, machine, 200);
  const train::Batch batch = train::to_batch(bench::random_rows(2, 64, 200, 0), machine.device);
  const Work work = counted([&] { torch::autograd::backward({built.model->training_loss(batch.ids_BT, batch.targets_BT)}, {}); });
  const double formula = config.architecture->cost(config.model_options(), {200, 64}).training_flops * 2 * 64;
  CHECK(work.flops == doctest::Approx(formula).epsilon(0.15));
  CHECK(work.bytes > 12.0 * static_cast<double>(built.params->count()));
}
