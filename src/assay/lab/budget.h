#pragma once
#include "assay/lab/campaign.h"
#include "assay/lab/member.h"
#include "assay/lab/recipe.h"

namespace assay::lab {

// Equal budgets. `pinned.arms` holds the dry run of every arm under the control's budget; here each arm gets what makes it equal to the
// control in what the recipe matches:
//   flops       updates, so that its training takes as many floating-point operations (by the architectures' cost formulas)
//   parameters  the value of its `solve` option, so that it has as many parameters
// and all arms get one corpus where it is made for the run. `pinned.set` and `pinned.arms` are as the members will be trained.
// ConfigError showing the arm where no value does.
void match_budgets(const Recipe& recipe, const Request& request, Pinned& pinned);

// What one arm's budget came to: {match, tokens, seconds, training_flops, parameters, mismatch, solved}. tokens: of whole updates.
// mismatch: relative difference from the control in what is matched; null where it is time. solved: {option: value}.
core::Value budget_of(const Recipe& recipe, const Arm& arm, const Pinned& pinned);

}  // namespace assay::lab
