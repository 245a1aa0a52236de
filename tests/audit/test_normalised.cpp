// The audit of the normalised decoders at the quick level: the plain model, each hypothesis of ngpt alone, and ten random combinations.
#include <ATen/Parallel.h>
#include <doctest/doctest.h>

#include <sstream>

#include "assay/audit/audit.h"
#include "assay/core/log.h"
#include "assay/core/random.h"
#include "audit/decoder_findings.h"

using namespace assay;
using testing::findings_of_decoder;

namespace {

using Choices = std::vector<std::string>;

const std::vector<Choices>& places() {
  static const std::vector<Choices> all = {
      {"", "alpha_schedule=linear", "alpha_schedule=upsidedown_u", "alpha_schedule=downsideup_u", "alpha_schedule=early_mid_late"},
      {"", "logit_scale_learnt=true", "logit_scale_learnt=true logit_scale_per_position=true"},
      {"", "gate=static", "gate=frozen", "gate=dynamic", "gate=dynamic_scalar"},
      {"", "dual_norm=true"},
      {"", "target_radius=0.95", "activation_radius=true"},
      {"", "per_head_alpha=true"},
      {"", "projection=time", "projection=drift", "projection=off", "project_every=1", "project_first=true"},
      {"", "hier_norm=true"},
      {"", "dropout=branch", "dropout=state", "dropout=path dropout_p=0.5"}};
  return all;
}

std::string combination(uint64_t number) {
  const core::Stream stream(2027, "combination", number);
  std::string options;
  for (size_t i = 0; i < places().size(); ++i) options += places()[i][stream.below(i, places()[i].size())] + " ";
  return options;
}

}  // namespace

TEST_CASE("ngpt passes the quick audit as it is and with each hypothesis by itself, ngpt_official with either rotation") {
  CHECK(findings_of_decoder("ngpt", "") == "");
  CHECK(findings_of_decoder("ngpt", "alpha_attn=0.2 alpha_mlp=0.35") == "");
  for (const Choices& place : places())
    for (const std::string& option : place) {
      if (option.empty()) continue;
      INFO(option);
      CHECK(findings_of_decoder("ngpt", option) == "");
    }
  for (const char* rope : {"rope=standard", "rope=vendor"}) {
    INFO(rope);
    CHECK(findings_of_decoder("ngpt_official", rope) == "");
  }
}

TEST_CASE("ten random combinations of the hypotheses pass the quick audit") {
  for (uint64_t n = 0; n < 10; ++n) {
    INFO(combination(n));
    CHECK(findings_of_decoder("ngpt", combination(n)) == "");
  }
}
