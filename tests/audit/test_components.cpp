// The audit of the decoder's components at the quick level: each alone, ten random compositions, and what it says of published faults. The full
// level is not run here: it tries each of fifty options beside each other one, which takes most of a minute for every composition.
#include <ATen/Parallel.h>
#include <doctest/doctest.h>

#include <sstream>

#include "assay/audit/audit.h"
#include "assay/core/log.h"
#include "assay/core/random.h"
#include "audit/decoder_findings.h"

using namespace assay;

namespace {

// "sort_window=4 sort_sim=mean": options of the model.
std::string findings(const std::string& options) { return testing::findings_of_decoder("gpt2", options); }

using Choices = std::vector<std::string>;

const Choices kNorm = {"", "norm=rms"}, kPosition = {"", "position=rotary", "position=none"},
              kAttention = {"", "n_kv_head=1", "qk_norm=true", "n_kv_head=1 qk_norm=true"},
              kMlp = {"", "mlp=relu2", "mlp=relu2 mlp_hidden=20", "mlp_hidden=40", "fc2_init_scale=0.66", "mlp=swiglu"},
              kBand = {"",
                       "band_fc1=20",
                       "band_fc1=20 band_fc2=11",
                       "band_fc2=20 init_rescale=row_density",
                       "band_fc1=20 band_fc2=11 band_storage=packed",
                       "band_fc1=20 band_control=permuted",
                       "band_fc2=20 band_control=random",
                       "band_fc1=20 band_fc2=20 band_control=blocks",
                       "band_fc2=20 band_control=narrower"},
              kResidual = {"", "residual=scaled", "residual=gated", "residual=parallel", "residual_init=true"},
              kBehindBlock = {"",
                              "sort_window=4",
                              "sort_window=4 sort_sim=cos",
                              "sort_window=4 sort_sim=mean",
                              "sort_window=4 sort_exclude_self=true",
                              "sort_window=4 sort_layers=1",
                              "sort_window=1",
                              "token_shift=blocks",
                              "token_shift=blocks token_shift_learnt=true"},
              kBeforeBlocks = {"",
                               "blend_window=4",
                               "blend_window=4 blend_renorm=true",
                               "token_shift=embedding",
                               "token_shift=embedding token_shift_learnt=true",
                               "previous_token=true"},
              kHebbian = {"",
                          "hebbian_window=3 hebbian_eps=0.001",
                          "hebbian_window=3 hebbian_eps=0.001 hebbian_mode=serial",
                          "hebbian_window=3 hebbian_eps=0.001 hebbian_pairs=shuffled",
                          "hebbian_window=3 hebbian_eps=0.001 hebbian_pairs=centre",
                          "hebbian_window=3 hebbian_eps=0.001 hebbian_schedule=cosine",
                          "hebbian_window=3 hebbian_eps=0.1 hebbian_normalised=true",
                          "hebbian_window=3 hebbian_eps=0.01 hebbian_learnt=true"},
              kHead = {"", "tied=false", "bias=false", "tied=false bias=false"},
              kLoss = {"", "label_smoothing=0.1", "z_loss=0.001", "loss_first=4 loss_last=11"};

const std::vector<Choices>& places() {
  static const std::vector<Choices> all = {kNorm,        kPosition,     kAttention, kMlp,  kBand, kResidual,
                                           kBehindBlock, kBeforeBlocks, kHebbian,   kHead, kLoss};
  return all;
}

bool holds(const std::string& options, const char* part) { return options.find(part) != std::string::npos; }

// Two rules for one place are refused by the model; here they are never drawn together.
bool agree(const std::string& options) {
  return !(holds(options, "swiglu") && holds(options, "band_")) && !(holds(options, "shift=blocks") && holds(options, "shift=embedding")) &&
         !(holds(options, "narrower") && holds(options, "mlp_hidden"));
}

std::string composition(uint64_t number) {
  const core::Stream stream(2026, "composition", number);
  for (uint64_t i = 0;; ++i) {
    std::string options;
    for (const Choices& place : places()) options += place[stream.below(i++, place.size())] + " ";
    if (agree(options)) return options;
  }
}

}  // namespace

TEST_CASE("each component of the decoder passes the quick audit by itself") {
  for (const Choices& place : places())
    for (const std::string& component : place) {
      if (component.empty() && &place != &places().front()) continue;  // the plain model once
      INFO(component);
      CHECK(findings(component) == "");
    }
  CHECK(findings("blend_window=4 blend_order=before_pos") == "");
}

TEST_CASE("ten random compositions pass the quick audit") {
  for (uint64_t n = 0; n < 10; ++n) {
    INFO(composition(n));
    CHECK(findings(composition(n)) == "");
  }
}

TEST_CASE("published faults are off by default, and the audit names each that is on") {
  const core::Schema& schema = arch::find_architecture("gpt2").schema();
  CHECK(schema.find("sort_alpha_grad")->default_value == core::Value("correct"));
  CHECK(schema.find("mask_at_init")->default_value == core::Value(true));
  const std::string shipped = findings("sort_window=4 sort_alpha_grad=shipped"), late = findings("band_fc1=20 mask_at_init=false");
  for (const char* place : {"gradients at blocks.0.sort.a", "gradients at blocks.1.sort.a"}) CHECK(holds(shipped, place));
  CHECK_FALSE(holds(shipped, "sort.tau"));
  for (const char* place : {"update at blocks.0.mlp.fc1.weight", "removed behind the first update"}) CHECK(holds(late, place));
}
