#include "assay/arch/transformer/decoder/position.h"

#include "assay/arch/transformer/decoder/component.h"

namespace assay::arch::decoder {

const core::Schema& PositionConfig::schema() {
  using core::option;
  static const core::Schema s = core::declare<PositionConfig>(
      "model", {
                   option("position", &PositionConfig::position, "how a position is known").one_of({"learned", "rotary", "none"}),
                   option("rope_base", &PositionConfig::rope_base, "base of the rotary frequencies", 1, 1e9),
               });
  return s;
}

namespace {
constexpr Control rotary_controls[] = {{"position=learned", "what relative positions are worth over a learnt vector for each place"},
                                       {"position=none", "what the causal mask alone tells of positions"}};
}
extern const Component component_rotary;
constinit const Component component_rotary{
    .name = "rotary",
    .summary = "rotary positions: scores depend on distances alone",
    .place = "queries and keys of every head, in place of the position vectors",
    .on = "position=rotary",
    .options = "position rope_base",
    .equations = "(z_2i, z_2i+1) of q and k at position t turns by the angle t base^(-2i/d)",
    .cost = "no products: 4 C multiply-adds a token and block; saves the table T x C",
    .source = "Su et al. 2021",
    .claim = "better language models than absolute positions",
    .trust = "reproduced widely; gains at short contexts are small and need seeds",
    .controls = rotary_controls,
};

}  // namespace assay::arch::decoder
