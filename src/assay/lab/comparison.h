#pragma once
#include <vector>

#include "assay/lab/member.h"
#include "assay/lab/recipe.h"
#include "assay/lab/rows.h"

namespace assay::lab {

// A campaign as far as its files tell: nothing here depends on the order in which members ran.
struct Evidence {
  std::string directory;
  std::vector<Row> rows;            // members_of(recipe, directory), in that order
  std::vector<core::Value> audits;  // of each arm; null: none yet
  std::vector<Tuned> tuned;         // of each arm
};
Evidence read_evidence(const Recipe& recipe, const std::vector<Member>& members, const std::string& directory, const Pinned& pinned);

// The results as one document (keys: docs/campaign.md): verdicts, figures of arms, members, reference lines, what was frozen.
core::Value compare(const Recipe& recipe, const Evidence& evidence, const Pinned& pinned);

}  // namespace assay::lab
