#pragma once
#include <vector>

#include "assay/core/value.h"
#include "assay/lab/rows.h"

namespace assay::lab {

// How much of the spread of an arm's differences comes from the validation text and how much from the seeds, by the losses of blocks of
// documents (validation.json of the members). More seeds do not shrink the text's part.
struct ValidationNoise {
  int64_t seeds = 0, blocks = 0;
  double seed_sd = 0;      // of one seed's difference
  double text_sd = 0;      // of the mean difference, with any number of seeds
  double residual_sd = 0;  // of one block's difference with one seed, beyond both
};

// Of the runs of control and arm with the same seed; nullopt with fewer than two pairs, or where the runs do not hold comparable losses.
std::optional<ValidationNoise> validation_noise(const std::vector<std::pair<const Member*, const Member*>>& pairs);

core::Value document_of(const std::optional<ValidationNoise>& noise);  // {seeds, blocks, seed_sd, text_sd, residual_sd}, or null

}  // namespace assay::lab
