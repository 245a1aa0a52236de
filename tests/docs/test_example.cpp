// The architecture of docs/add-an-architecture.md, compiled from the page.
#include <ATen/ops/equal.h>
#include <doctest/doctest.h>

#include "arch/helpers.h"
#include "train/helpers.h"

namespace assay::arch::transformer {
extern const ArchInfo arch_shift_mlp;
}

using namespace assay;

TEST_CASE("the documented example builds, learns and is causal") {
  const arch::ArchInfo& info = arch::transformer::arch_shift_mlp;
  const testing::Scratch dir;
  train::RunConfig config(info);
  config.name = "example";
  for (const char* a : {"data.corpus_tokens=20000", "data.corpus_val_tokens=2000", "train.batch=4", "train.seq_len=32", "train.threads=1",
                        "train.steps=60", "train.product=aten", "train.val_every=60", "optim.lr=0.01", "model.n_layer=3"})
    config.settings.set_assignment(a, core::Source::command_line);
  const results::Summary s = train::train_new(config, dir / "run");
  const double start = results::read_metrics(dir / "run").front().at("loss").as_double();
  CHECK(start == doctest::Approx(std::log(260.0)).epsilon(0.05));
  CHECK(*s.val_loss < start - 1);

  const at::NoGradGuard no_grad;
  const arch::Built b = arch::build(info, core::Value::object(), {40, 16}, {});
  const auto [before, after] = testing::logits_before_change(b, 40, 16, 9);
  CHECK(at::equal(before, after));
}

TEST_CASE("the page names the files it asks to change") {
  const std::string page = core::read_file(std::string(ASSAY_SOURCE_DIR) + "/docs/add-an-architecture.md");
  for (const char* path : {"src/assay/arch/CMakeLists.txt", "tests/contract/test_dispatcher.cpp", "src/assay/ops/decay_attention"}) {
    INFO(path);
    CHECK(page.find(path) != std::string::npos);
    CHECK(std::filesystem::exists(std::string(ASSAY_SOURCE_DIR) + "/" + path));
  }
}
