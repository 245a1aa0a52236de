#pragma once
#include "assay/arch/architecture.h"

// v8 and gpt2 once more, from their equations with plain operations, and each with one of the mistakes that real experiments have made.
namespace assay::testing {

enum class Defect {
  none,
  mask_off_by_one,          // attends to the next token
  reversed_mask,            // attends to the future
  normalised_over_time,     // statistics over the whole sequence
  batch_statistics,         // statistics over the rows of a batch
  convolution_padding,      // a symmetric window
  cache_by_position,        // keeps states between calls, by position
  leak_in_evaluation,       // the next token, in evaluation only
  leak_in_training,         // the next token, in training only
  leak_beyond_length,       // the next token, in rows of more than 16 only
  leak_by_gradient,         // values are causal, derivatives are not
  leak_behind_zero,         // the next token, times a parameter that starts at zero
  loss_against_input,       // the target is the token that the model was given
  target_shifted_twice,     // the target is the token after the next
  loss_scaled,              // half the cross-entropy
  unused_parameter,         // declared, never used
  detached_parameter,       // used without a gradient
  gradient_lost,            // half of a parameter's gradient is cut off, values are right
  parameter_updated_twice,  // a training pass moves it, then the optimizer does
  option_without_effect,    // declared, never read
  noise_shared_by_rows,     // one draw for the whole batch
  noise_not_repeatable,     // a draw that depends on how often it was called
  noise_in_evaluation,      // noise that stays on
  unsaved_statistics,       // a running mean that no checkpoint holds
  fails_on_one_token,       // divides by T - 1
  fails_on_constant_input,  // divides by the change from token to token
};
const char* name_of(Defect d);
std::vector<Defect> all_defects();  // without `none`

// Metadata of the model with the defect; "v8" or "gpt2". One defect at a time: models made later have that of the last call.
const arch::ArchInfo& mutant(std::string_view model, Defect d);

}  // namespace assay::testing
