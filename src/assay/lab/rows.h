#pragma once
#include <map>
#include <optional>

#include "assay/lab/member.h"
#include "assay/lab/rule.h"
#include "assay/lab/tuning.h"

namespace assay::lab {

// One member with what its run directory says.
struct Row {
  const Member* member = nullptr;
  Standing standing;
  std::optional<double> value;  // the metric of a member that is done
};
Row row_of(const Member& m, const std::string& metric);
// What rules compare: lower is better, so an accuracy is negated. NaN of a run that diverged.
Score score_of(const Row& row, const std::string& metric);
std::optional<double> cap_of(const Recipe& recipe, const Pinned& pinned);  // the score of such a run: ln V of a loss, accuracy 0

// What an arm's audit found: null where there is none yet. Kept in DIR/audits/<arm>.json.
core::Value read_audit(const std::string& directory, const Arm& arm);
// "audit failed: causality at hops.0.propagation: ...", or "" where it passed or is not there.
std::string refusal_by_audit(const core::Value& audit);

// What a rule may look at. An arm is refused when its audit failed, when it was tuned at the edge of its grid, when one of its runs beats the
// entropy of its text, and when two of its members ended without a score (for reasons other than divergence).
Standings standings_of(const Recipe& recipe, const std::vector<Row>& rows, const std::vector<core::Value>& audits,
                       const std::vector<Tuned>& tuned, const Pinned& pinned);

}  // namespace assay::lab
