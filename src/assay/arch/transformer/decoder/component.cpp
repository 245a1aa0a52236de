#include "assay/arch/transformer/decoder/component.h"

namespace assay::arch::decoder {

extern const Component component_rmsnorm, component_rotary, component_grouped_query, component_qk_norm, component_relu2, component_swiglu,
    component_banded_mlp, component_scaled_residual, component_gated_residual, component_parallel, component_sort, component_blend,
    component_token_shift, component_previous_token, component_hebbian, component_untied_head, component_loss_mask,
    component_label_smoothing, component_z_loss;

std::span<const Component* const> components() {
  static constexpr const Component* all[] = {
      &component_previous_token, &component_blend,           &component_token_shift,     &component_rotary, &component_rmsnorm,
      &component_grouped_query,  &component_qk_norm,         &component_relu2,           &component_swiglu, &component_banded_mlp,
      &component_parallel,       &component_scaled_residual, &component_gated_residual,  &component_sort,   &component_hebbian,
      &component_untied_head,    &component_loss_mask,       &component_label_smoothing, &component_z_loss};
  return all;
}

const Component* find_component(std::string_view name) {
  for (const Component* c : components())
    if (c->name == name) return c;
  return nullptr;
}

}  // namespace assay::arch::decoder
