// scripts/convert_checkpoint.py: published pickles come back as the weights that they hold, under the names of the models here.
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <doctest/doctest.h>

#include <cstdlib>

#include "arch/helpers.h"
#include "assay/export/model_file.h"
#include "train/helpers.h"

using namespace assay;
using exporting::Packed;

TEST_CASE("published checkpoints of each kind are converted to the weights that they hold") {
  const testing::Scratch dir;
  const arch::Built b = testing::random_model("v11a_mixed_ops", testing::small_options("v11a_mixed_ops"), 40, 16);
  exporting::ModelFile m;
  for (const auto& e : b.params->entries())
    m.tensors.push_back({e.name, Packed::Kind::exact, b.params->view(b.params->values(), e).detach().clone(), {}});
  exporting::write_model_file(core::real_files(), dir / "weights.safetensors", m);
  const char* python = std::getenv("ASSAY_PYTHON");
  const std::string command = std::string(python != nullptr ? python : "python3") +
                              " " ASSAY_SOURCE_DIR "/tests/export/published_checkpoints.py v11a_mixed_ops " +
                              (dir / "weights.safetensors") + " " + dir.path();
  const int status = std::system(command.c_str());
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    MESSAGE("python has no torch: only the names were checked");
    return;
  }
  REQUIRE(WEXITSTATUS(status) == 0);
  for (const std::string kind : {"a", "b", "c"}) {
    INFO(kind);
    const exporting::ModelFile got = exporting::read_model_file(dir / (kind + ".safetensors"));
    CHECK(got.step == (kind == "a" ? 165 : 0));
    CHECK(got.config.is_null());
    REQUIRE(got.tensors.size() == m.tensors.size());
    for (const Packed& wanted : m.tensors) {
      const auto found = std::find_if(got.tensors.begin(), got.tensors.end(), [&](const Packed& p) { return p.name == wanted.name; });
      REQUIRE_MESSAGE(found != got.tensors.end(), wanted.name);
      if (kind == "c") CHECK(at::allclose(found->values, wanted.values, 0, 0.02));
      else CHECK(at::equal(found->values, wanted.values));
    }
  }
}
