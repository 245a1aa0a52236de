#pragma once
#include <vector>

#include "assay/lab/member.h"
#include "assay/lab/recipe.h"

namespace assay::lab {

// The results of a campaign as one document (keys: docs/campaign.md), from the run directories of its members alone: members, each
// arm's mean, and for every arm but the control its paired differences by seed with Student's t interval.
core::Value compare(const Recipe& recipe, const std::vector<Member>& members, const Pinned& pinned);

}  // namespace assay::lab
