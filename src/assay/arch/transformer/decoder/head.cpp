#include "assay/arch/transformer/decoder/head.h"

#include "assay/arch/transformer/decoder/component.h"

namespace assay::arch::decoder {

const core::Schema& HeadConfig::schema() {
  static const core::Schema s =
      core::declare<HeadConfig>("model", {core::option("tied", &HeadConfig::tied, "the embedding is the output matrix, too")});
  return s;
}

Head::Head(const HeadConfig& c, const Builder& b, const Tensor& E_VC)
    : matrix_VC_(c.tied ? E_VC : b.params.add("lm_head.weight", E_VC.sizes().vec(), tensor::normal(0.02))), precision_(b.precision) {}

namespace {
constexpr Control untied_controls[] = {{"tied=true", "what a second table of V C weights is worth: not the idea, the parameters"}};
}  // namespace
extern const Component component_untied_head;
constinit const Component component_untied_head{
    .name = "untied_head",
    .summary = "an output matrix of its own",
    .place = "the head, in place of the embedding",
    .on = "tied=false",
    .options = "tied",
    .equations = "logits = U LNf(x)",
    .cost = "V C multiply-adds a token as before; V C more weights",
    .source = "the form before Press & Wolf 2017",
    .claim = "large models do better untied",
    .trust = "a matter of parameters: compare at equal ones",
    .controls = untied_controls,
};

}  // namespace assay::arch::decoder
