#pragma once
#include "assay/lab/member.h"
#include "assay/lab/recipe.h"

namespace assay::lab {

// How an arm differs from the control. All lists hold {option, a: the control's, b: the arm's}.
struct Changes {
  core::Value declared;    // what the recipe says is to differ
  core::Value undeclared;  // what differs beside: then the comparison is not about the declared change alone
  core::Value derived;     // what follows: parameters, floating-point operations, updates, data
};

// Declared are the names in the arm's `change` (an option, a section, "arch"), or without it every option that the recipe writes for the arm
// or the control; and what was tuned or solved. Options of the model are compared between arms of one architecture only, where they mean the same.
Changes changes_of(const Arm& control, const Arm& arm, const Pinned& pinned);

// "beyond the declared change it differs in optim.lr (0.003, the control 0.01)", or "".
std::string undeclared_text(const Changes& changes);

}  // namespace assay::lab
