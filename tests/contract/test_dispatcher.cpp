#include <ATen/core/dispatch/Dispatcher.h>
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "assay/arch/architecture.h"
#include "assay/core/error.h"
#include "assay/tensor/device.h"

using namespace assay;

namespace {

bool cuda_opens() {
  try {
    tensor::open_device("cuda");
    return true;
  } catch (const core::DeviceError&) {
    return false;
  }
}

}  // namespace

TEST_CASE("every op has kernels for CPU, Meta and Autograd, and for CUDA where there is one") {
  std::vector<c10::DispatchKey> keys{c10::DispatchKey::CPU, c10::DispatchKey::Meta, c10::DispatchKey::Autograd};
  if (cuda_opens()) keys.push_back(c10::DispatchKey::CUDA);
  std::set<std::string> ours;
  for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames()) {
    if (name.name.rfind("assay::", 0) != 0) continue;
    ours.insert(name.name);
    const auto op = c10::Dispatcher::singleton().findSchema(name);
    REQUIRE(op.has_value());
    for (c10::DispatchKey key : keys) {
      INFO(name.name << " lacks a kernel for " << std::string(c10::toString(key)));
      CHECK(op->hasKernelForDispatchKey(key));
    }
  }
  // A new op is added here, so that one which was dropped by a linker is noticed.
  CHECK(ours == std::set<std::string>{"assay::adam_", "assay::banded_product", "assay::banded_product_backward", "assay::causal_conv",
                                      "assay::causal_conv_backward", "assay::column_sums", "assay::decay_attention",
                                      "assay::decay_attention_backward", "assay::decide_update_", "assay::loss_head", "assay::loss_head_",
                                      "assay::normalize", "assay::normalize_backward", "assay::residual", "assay::residual_backward",
                                      "assay::shift_max", "assay::shift_max_backward", "assay::sphere_step",
                                      "assay::sphere_step_backward"});
}

TEST_CASE("the registry holds exactly the architectures of the golden list, each complete") {
  std::set<std::string> names, words;
  for (const arch::ArchInfo* a : arch::architectures()) {
    INFO(std::string(a->name));
    CHECK(names.insert(std::string(a->name)).second);
    CHECK(words.insert(std::string(a->name)).second);
    for (const std::string& alias : arch::aliases_of(*a)) CHECK(words.insert(alias).second);
    for (std::string_view text : {a->family, a->mixer, a->transform, a->summary, a->source, a->equations}) CHECK_FALSE(text.empty());
    CHECK(a->schema().section() == "model");
    for (const core::Field& f : a->schema().fields()) CHECK_FALSE(f.help.empty());
    const arch::Built b = arch::build(*a, core::Value::object(), {260, 16}, {});
    CHECK(b.params->count() > 0);
    CHECK(a->cost(arch::complete_config(*a, core::Value::object()), {260, 16}).training_flops > 0);
    CHECK(&arch::find_architecture(a->name) == a);
  }
  CHECK(names == std::set<std::string>{"cnn",
                                       "gpt2",
                                       "ngpt",
                                       "ngpt_official",
                                       "orthpar",
                                       "v1_shared_attn",
                                       "v2_conv",
                                       "v3_fourier_linattn",
                                       "v4_weight_shared",
                                       "v5_fft_linattn",
                                       "v6_banded_fourier",
                                       "v7_soft_ops",
                                       "v8_lowrank_vv",
                                       "v9_linattn",
                                       "v10_state_cond_op",
                                       "v11a_mixed_ops",
                                       "v11b_hard_routing",
                                       "v12_vocab_slice",
                                       "v13_with_embedding",
                                       "v14_data_dependent",
                                       "v15_aux_loss",
                                       "v16_multi_branch"});
}

TEST_CASE("an unknown architecture is refused with the nearest name, an alias is accepted") {
  CHECK_THROWS_WITH_AS(arch::find_architecture("v8_lowrnk_vv"), doctest::Contains("v8_lowrank_vv"), core::ConfigError);
  CHECK(arch::find_architecture("v8_graph").name == "v8_lowrank_vv");
}
